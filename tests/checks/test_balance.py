import pytest

from llmtl.answers import write_labels
from llmtl.checks import Level, check_imbalance, check_missing_names, check_separators, check_size, check_spelling
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.task import Example, Metric, Split, Task


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
    assert untested.message.startswith("1 of 3 labels has no test example ('b')")
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


def test_labels_that_stand_for_a_missing_value_are_told():
    (finding,) = check_missing_names(task(["card", "nan", "N/A", "none"]))
    assert finding.level is Level.WARNING
    assert "'nan', 'N/A' count as a label like any other and may stand for a missing one" in finding.message
    assert check_missing_names(task(["none", "other", "Nathan"])) == []


@pytest.mark.parametrize(("one", "other"), [("1", "1.0"), ("2", "02"), ("R&D", "R&amp;D"), ("-1", "\u22121")])
def test_one_value_in_two_forms_is_told(one, other):
    assert check_spelling(task([one, other, "loan"]))


def test_numbers_with_another_sign_are_not_alike():
    assert check_spelling(task(["-1", "0", "1"])) == []


def several(labels: list[str]) -> Task:
    return Task("t", tuple(labels), metric=Metric.MICRO_F1, kind=MULTI_LABEL)


def test_lists_that_never_hold_two_labels_are_told():
    examples = [Example(str(number), "text", write_labels([name], [name])) for number, name in enumerate("ab")]
    (finding,) = check_separators(several(["a", "b"]), examples)
    assert "set task.kind=classification if none can, or data.label_separator" in finding.message
    examples.append(Example("2", "text", write_labels(["a", "b"], ["a", "b"])))
    assert check_separators(several(["a", "b"]), examples) == []


@pytest.mark.parametrize("joined", ["a;b", "a / b", "a/b", "a b"])
def test_labels_made_of_others_are_told(joined):
    (finding,) = check_separators(several(["a", "b", joined]))
    assert f"'{joined}' counts as one label, and all parts around" in finding.message
    assert check_separators(several(["sport", "sport/football", "the arts"])) == []
