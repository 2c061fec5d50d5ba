"""Paired tests and intervals against statsmodels, exact enumeration and simulation."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from llmtl.errors import DataError
from llmtl.metrics.multiplicity import holm
from llmtl.metrics.paired import compare, compare_counts, mcnemar_exact
from llmtl.metrics.resampling import patterns, randomisation_p
from llmtl.task import Metric


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (0, 6), (12, 3), (30, 31), (400, 350)])
def test_mcnemar_is_that_of_statsmodels(only_a, only_b):
    expected = mcnemar([[7, only_a], [only_b, 2]], exact=True).pvalue
    assert mcnemar_exact(only_a, only_b) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(10))
def test_holm_is_that_of_statsmodels(seed):
    rng = np.random.default_rng(seed)
    p_values = rng.random(int(rng.integers(1, 8))) ** 3
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_of_nothing_is_nothing():
    assert holm([]) == []


def test_accuracy_counts_the_discordant_examples():
    references = ["a", "a", "b", "b", "b"]
    result = compare(references, ["a", "b", "b", None, "b"], ["b", "a", "a", "b", None], metric=Metric.ACCURACY)
    assert (result.only_a, result.only_b, result.n) == (3, 2, 5)
    assert result.difference == pytest.approx(0.2)
    assert result.discordance == 1
    assert result.p == mcnemar_exact(3, 2)
    assert result == compare_counts(3, 2, 5)


def test_the_standard_error_is_that_of_the_paired_differences():
    differences = np.array([1] * 12 + [-1] * 5 + [0] * 63)
    assert compare_counts(12, 5, 80).standard_error == pytest.approx(differences.std() / np.sqrt(80))


def test_randomisation_matches_all_swaps_counted_out():
    references = ["a", "a", "b", "b", "c", "c", "a", "b"]
    first, second = ["a", "a", "b", "b", "c", "a", None, "b"], ["b", "a", "a", "b", "a", "c", "a", "c"]

    def difference(one, other):
        present = [sorted(set(references) | {g for g in guesses if g}) for guesses in (one, other)]
        scores = [
            f1_score(references, [g or "-" for g in guesses], labels=labels, average="macro", zero_division=0)
            for guesses, labels in zip((one, other), present, strict=True)
        ]
        return scores[0] - scores[1]

    observed = abs(difference(first, second))
    swaps = list(product([False, True], repeat=8))
    extreme = 0
    for swap in swaps:
        one = [b if s else a for a, b, s in zip(first, second, swap, strict=True)]
        other = [a if s else b for a, b, s in zip(first, second, swap, strict=True)]
        extreme += abs(difference(one, other)) >= observed - 1e-12
    p = randomisation_p(patterns(references, first, second), resamples=20_000, seed=1)
    assert p == pytest.approx(extreme / len(swaps), abs=0.015)


def test_identical_predictions_differ_by_nothing_in_either_metric():
    references = ["a", "b"] * 10
    for metric in Metric:
        result = compare(references, references, references, metric=metric, resamples=1000)
        assert (result.difference, result.p) == (0, 1)
        assert result.low < result.at_least < 0 < result.at_most < result.high


def test_macro_f1_difference_is_that_of_scikit_learn_and_mirrored():
    rng = np.random.default_rng(2)
    references, one, other = (rng.choice(["a", "b", "c"], 60).tolist() for _ in range(3))
    ours = compare(references, one, other, metric=Metric.MACRO_F1, resamples=2000)
    mirrored = compare(references, other, one, metric=Metric.MACRO_F1, resamples=2000)
    expected = f1_score(references, one, average="macro") - f1_score(references, other, average="macro")
    assert ours.difference == pytest.approx(expected)
    assert mirrored.difference == pytest.approx(-expected)
    assert (ours.low, ours.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=0.02)
    assert ours == compare(references, one, other, metric=Metric.MACRO_F1, resamples=2000)


def test_macro_f1_on_balanced_labels_agrees_with_accuracy():
    """With many examples of two balanced labels both metrics measure the same, so both constructions must agree."""
    rng = np.random.default_rng(4)
    references = ["a", "b"] * 400
    flip = {"a": "b", "b": "a"}
    one, other = ([r if rng.random() < share else flip[r] for r in references] for share in (0.85, 0.8))
    f1 = compare(references, one, other, metric=Metric.MACRO_F1, resamples=4000)
    accuracy = compare(references, one, other, metric=Metric.ACCURACY)
    assert (f1.difference, f1.low, f1.high) == pytest.approx(
        (accuracy.difference, accuracy.low, accuracy.high), abs=5e-3
    )
    assert (f1.at_least, f1.at_most) == pytest.approx((accuracy.at_least, accuracy.at_most), abs=5e-3)
    assert f1.p == pytest.approx(accuracy.p, abs=0.03)
    assert f1.standard_error == pytest.approx(accuracy.standard_error, rel=0.1)


def test_macro_f1_tests_keep_their_level_and_intervals_their_coverage():
    """Two equally good systems, 150 samples of 60 examples: 5% is 7.5, and 17 or more have probability 0.002."""
    rng = np.random.default_rng(6)
    labels = [f"label-{i}" for i in range(6)]
    rejected = missed = 0
    for _ in range(150):
        references = rng.choice(labels, 60).tolist()
        one, other = ([r if rng.random() < 0.8 else str(rng.choice(labels)) for r in references] for _ in range(2))
        result = compare(references, one, other, metric=Metric.MACRO_F1, resamples=400)
        rejected += result.p <= 0.05
        missed += not result.low <= 0 <= result.high
    assert rejected <= 16
    assert missed <= 16


def test_unequal_lengths_are_refused():
    with pytest.raises(DataError, match="one for each"):
        compare(["a", "b"], ["a", "b"], ["a"], metric=Metric.ACCURACY)
