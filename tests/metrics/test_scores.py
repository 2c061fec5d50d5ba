"""Scores against scikit-learn; failures; width and coverage of the intervals, groups included."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from llmtl.answers import Span, write_spans
from llmtl.errors import DataError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.metrics import accuracy, macro_f1, score
from llmtl.metrics.intervals import wilson
from llmtl.metrics.summed import counts_of, interval_of
from llmtl.task import Metric


def random_answers(rng, labels, n, *, right, failed=0.0, among=None):
    references = rng.choice(labels, n).tolist()
    guesses = [
        None if rng.random() < failed else truth if rng.random() < right else str(rng.choice(among or labels))
        for truth in references
    ]
    return references, guesses


@pytest.mark.parametrize("seed", range(20))
def test_both_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = [f"label-{i}" for i in range(int(rng.integers(2, 12)))]
    # predictions may name labels that no reference has, and leave out others
    references, guesses = random_answers(rng, labels, int(rng.integers(1, 60)), right=0.6, among=[*labels, "unseen"])
    assert accuracy(references, guesses) == pytest.approx(accuracy_score(references, guesses))
    assert macro_f1(references, guesses) == pytest.approx(f1_score(references, guesses, average="macro"))


@pytest.mark.parametrize("seed", range(10))
def test_a_failure_is_a_miss_for_its_label_and_no_false_positive(seed):
    rng = np.random.default_rng(seed)
    references, guesses = random_answers(rng, ["a", "b", "c"], 40, right=0.7, failed=0.2)
    named = [guess or "<failed>" for guess in guesses]
    present = sorted(set(references) | {guess for guess in guesses if guess})
    expected = f1_score(references, named, labels=present, average="macro", zero_division=0)
    assert macro_f1(references, guesses) == pytest.approx(expected)
    assert accuracy(references, guesses) == pytest.approx(accuracy_score(references, named))


def test_all_failures_score_zero_with_an_interval_above_it():
    few, more = (score(["a", "b", "b"] * times, [None] * 3 * times) for times in (1, 10))
    for name, interval in more.items():
        assert interval.value == interval.low == few[name].value == few[name].low == 0
        assert 0.05 < interval.high < 0.3 < few[name].high


def test_no_error_scores_one_with_an_interval_below_it():
    references = ["a", "b"] * 15
    scores = score(references, references)
    assert scores["accuracy"] == wilson(30, 30)
    assert scores["macro_f1"].value == scores["macro_f1"].high == 1
    assert scores["macro_f1"].low == pytest.approx(scores["accuracy"].low, abs=0.03)


def test_a_prediction_that_is_no_label_of_the_task_counts_as_a_failure():
    references = ["a", "b", "a", "b"]
    strict = score(references, ["a", "b", "x", "b"], labels=["a", "b"])
    assert strict == score(references, ["a", "b", None, "b"])
    assert strict["macro_f1"].value > score(references, ["a", "b", "x", "b"])["macro_f1"].value


def test_the_interval_is_seeded():
    rng = np.random.default_rng(0)
    references, guesses = random_answers(rng, ["a", "b", "c"], 50, right=0.8)
    assert score(references, guesses, seed=3) == score(references, guesses, seed=3)
    assert score(references, guesses, seed=3) != score(references, guesses, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "n", "right"), [(2, 30, 0.9), (8, 60, 0.97), (20, 120, 0.8)])
def test_the_macro_f1_interval_covers_the_expected_score(count, n, right):
    """Of 200 samples at most 1 in 10 intervals miss; 95% coverage misses 21 or more with probability 0.002."""
    rng = np.random.default_rng(5)
    labels = [f"label-{i}" for i in range(count)]
    expected = np.mean([macro_f1(*random_answers(rng, labels, n, right=right)) for _ in range(800)])
    missed = 0
    for _ in range(200):
        interval = score(*random_answers(rng, labels, n, right=right), resamples=400)["macro_f1"]
        missed += not interval.low <= expected <= interval.high
    assert missed <= 20


@pytest.mark.parametrize(
    ("references", "guesses", "labels", "message"),
    [
        ([], [], None, "nothing to score"),
        (["a"], ["a", "b"], None, "one for each"),
        (["a", "z"], ["a", "a"], ["a", "b"], "'z' is not one of the task's labels"),
    ],
)
def test_wrong_input_is_refused(references, guesses, labels, message):
    with pytest.raises(DataError, match=message):
        score(references, guesses, labels=labels)


def spans_of(rng, n, *, right):
    """Return references and answers with up to three spans each, found with probability `right`."""
    references, answers = [], []
    for _ in range(n):
        truth = [Span(5 * at, 5 * at + 3, str(rng.choice(["a", "b"])), "xyz") for at in range(int(rng.integers(0, 4)))]
        found = [span for span in truth if rng.random() < right]
        false = [Span(90, 93, "a", "xyz")] if rng.random() < 0.1 else []
        references.append(write_spans(truth))
        answers.append(write_spans([*found, *false]))
    return references, answers


def test_every_metric_of_a_kind_is_scored_the_default_first():
    references, answers = spans_of(np.random.default_rng(0), 60, right=0.8)
    answers[0] = None
    scores = EXTRACTION.score(references, answers, labels=["a", "b"])
    assert list(scores) == [metric.value for metric in EXTRACTION.metrics]
    assert all(0 < each.low < each.value < each.high < 1 for each in scores.values())
    right = sum(one == two for one, two in zip(references, answers, strict=True))
    assert scores["exact_match"] == wilson(right, 60)


def test_alternatives_count_as_right_and_no_error_still_has_an_interval():
    texts = [f"the {word} sat there quietly" for word in ("cat", "dog", "cow", "hen")] * 5
    scores = GENERATION.score(["unlike"] * 20, texts, alternatives=[(text,) for text in texts])
    assert list(scores) == ["chrf", "bleu", "rouge_l", "exact_match"]
    for interval in scores.values():
        assert interval.value == interval.high == pytest.approx(1)
        assert 0.7 < interval.low < 1


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_copies_in_groups_add_nothing(metric):
    rng = np.random.default_rng(2)
    references = rng.choice(["x", "y"], 50).tolist()
    answers = [truth if rng.random() < 0.7 else "x" for truth in references]
    alone = score(references, answers)[metric]
    groups = [f"g{n}" for n in range(50)] * 6
    apart, together = (score(references * 6, answers * 6, groups=given)[metric] for given in ((), groups))
    assert together.value == pytest.approx(alone.value) == pytest.approx(apart.value)
    assert together.high - together.low == pytest.approx(alone.high - alone.low, rel=0.15)
    assert apart.high - apart.low < 0.6 * (together.high - together.low)


@pytest.mark.slow
@pytest.mark.parametrize("metric", [Metric.MICRO_F1, Metric.MACRO_F1, Metric.PARTIAL_F1])
def test_span_intervals_cover_the_expected_score(metric):
    """Of 150 samples at most 1 in 9 intervals miss; 95% coverage misses 17 or more with probability 0.002."""
    rng = np.random.default_rng(4)
    references, answers = spans_of(rng, 10_000, right=0.7)
    measure = EXTRACTION.measure(metric, references)
    expected = measure.score(answers)
    missed = 0
    for _ in range(150):
        references, answers = spans_of(rng, 60, right=0.7)
        measure = EXTRACTION.measure(metric, references, labels=["a", "b"])
        interval = interval_of(measure.value, counts_of(measure, references, [answers]), resamples=300)
        missed += not interval.low <= expected <= interval.high
    assert missed <= 16
