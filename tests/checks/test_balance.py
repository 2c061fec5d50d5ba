import pytest

from llmtl.checks import Level, check_imbalance, check_separators, check_size, check_spelling
from llmtl.task import Metric, Split, Task


def task(labels: str, metric: Metric = Metric.ACCURACY) -> Task:
    return Task("t", tuple(labels), metric=metric)


@pytest.fixture
def split(make_examples):
    """Return a function from label counts of train and test to a split."""

    def make(train: dict[str, int], test: dict[str, int]) -> Split:
        trained = [each for label, count in train.items() for each in make_examples(label, count)]
        tested = [each for label, count in test.items() for each in make_examples(label, count)]
        return Split(tuple(trained), (), tuple(tested))

    return make


def test_balanced_labels_have_no_finding(split):
    assert check_imbalance(split({"a": 29, "b": 10}, {}), task("ab")) == []


def test_imbalance_names_the_share_and_the_metric(split):
    (finding,) = check_imbalance(split({"a": 30, "b": 10}, {}), task("ab"))
    assert finding.level is Level.WARNING
    assert "'a' makes up 75% of train, 3.0 times" in finding.message
    assert "macro_f1" in finding.message


def test_imbalance_is_information_when_macro_f1_decides_or_no_label_is_common(split):
    (finding,) = check_imbalance(split({"a": 30, "b": 10}, {}), task("ab", Metric.MACRO_F1))
    assert finding.level is Level.INFO
    counts = dict.fromkeys("abcdefgh", 12) | {"z": 4}
    (finding,) = check_imbalance(split(counts, {}), task("abcdefghz"))
    assert finding.level is Level.INFO


def test_few_training_and_no_test_examples_warn(split):
    made = split({"a": 5, "b": 4}, {"a": 3, "c": 1})
    few, untested = check_size(made, task("abc"))
    assert few.message.startswith("2 of 3 labels have fewer than 5 training examples ('b', 'c')")
    assert untested.message.startswith("1 of 3 labels have no test example ('b')")
    assert {few.level, untested.level} == {Level.WARNING}
    assert check_size(split({"a": 5, "b": 5}, {"a": 1, "b": 1}), task("ab")) == []


def test_labels_that_differ_only_in_spelling_are_named():
    spelt = Task("t", ("card lost", "Card_Lost", "card-lost", "refund", "C", "C++"))
    (finding,) = check_spelling(spelt)
    assert finding.level is Level.WARNING
    assert "3 labels" in finding.message
    assert "'card lost', 'Card_Lost', 'card-lost'" in finding.message
    assert check_spelling(task("ab")) == []


@pytest.mark.parametrize("other", ["\uff43ard", "c\u0430rd", "Card", "car\u200dd", "c ard", "c\u2011ard"])
def test_labels_that_look_alike_are_told(other):
    (finding,) = check_spelling(task(["card", other, "loan"]))
    assert "2 labels differ from another only in case, spaces, hyphens or look-alikes" in finding.message


def test_labels_with_parts_in_common_may_be_several_labels():
    (finding,) = check_separators(task(["billing;urgent", "shipping;urgent", "other"]))
    assert "task.kind=multi-label and data.label_separator=';'" in finding.message
    assert check_separators(task(["cards, lost", "loans", "other"])) == []
