"""Accuracy and macro-F1 against scikit-learn; failures; the coverage of the macro-F1 interval."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from llmtl.errors import DataError
from llmtl.metrics import accuracy, macro_f1, score
from llmtl.metrics.intervals import wilson


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
    scores = score(["a", "b", "b"], [None, None, None])
    for interval in scores.values():
        assert interval.value == 0
        assert interval.low == 0
        assert 0.2 < interval.high < 1


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
        (["a", "z"], ["a", "a"], ["a", "b"], "'z' is none of the task's labels"),
    ],
)
def test_wrong_input_is_refused(references, guesses, labels, message):
    with pytest.raises(DataError, match=message):
        score(references, guesses, labels=labels)
