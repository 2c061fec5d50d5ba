"""Comparisons on summed counts: exact enumeration, the exact McNemar test, and coverage by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.metrics.hierarchical import cluster_codes, summed
from llmtl.metrics.optimism import optimism
from llmtl.metrics.paired import compare_counts
from llmtl.metrics.summed import (
    CLUSTERED,
    RANDOMISED,
    SEEDED,
    Counts,
    clustered,
    compare_sums,
    counts_of,
    interval_of,
    swap_p,
)
from llmtl.task import Metric

PERFECT, WRONG = np.array([1.0, 1.0]), np.array([0.0, 1.0])


def share(totals):
    return totals[..., 0] / totals[..., 1]


def counts(right, groups=()):
    """Return the counts of seeds x examples."""
    right = np.atleast_2d(np.asarray(right, dtype=float))
    return Counts(np.stack([right, np.ones_like(right)], axis=-1), PERFECT, WRONG, groups)


def compare_macro_f1(references, a, b, *, resamples=10_000, seed=0):
    labels = sorted({label for column in (references, a, b) for label in column if label})
    measure = CLASSIFICATION.measure(Metric.MACRO_F1, references, labels=labels)
    first, second = (counts_of(measure, references, [answers]) for answers in (a, b))
    return compare_sums(measure.value, first, second, wins=(0, 0), resamples=resamples, seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_few_swaps_are_tried_all(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.random((8, 2)) + 0.1, rng.random((8, 2)) + 0.1
    seen = abs(share(a.sum(0)) - share(b.sum(0)))
    tried = []
    for swaps in product([False, True], repeat=8):
        mask = np.array(swaps)[:, None]
        tried.append(abs(share(np.where(mask, b, a).sum(0)) - share(np.where(mask, a, b).sum(0))) >= seen - 1e-12)
    assert swap_p(share, a, b, resamples=1000, seed=0) == pytest.approx(np.mean(tried))


@pytest.mark.parametrize(("only_a", "only_b"), [(6, 1), (25, 10), (3, 3)])
def test_randomisation_of_right_and_wrong_is_mcnemar(only_a, only_b):
    a = np.array([1] * only_a + [0] * only_b + [1] * 20)
    b = np.array([0] * only_a + [1] * only_b + [1] * 20)
    found = compare_sums(share, counts(a), counts(b), wins=(only_a, only_b), seed=1)
    assert found.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue, abs=0.015)
    assert found.method == RANDOMISED
    assert found.difference == pytest.approx((a - b).mean())


def test_groups_change_sides_together():
    a, b = np.repeat([1, 1, 1, 0], 10), np.repeat([0, 0, 1, 1], 10)
    groups = tuple(np.repeat(["p", "q", "r", "s"], 10))
    found = compare_sums(share, counts(a, groups), counts(b, groups), wins=(20, 10))
    assert found.method == CLUSTERED
    assert found.p == 1.0  # three groups differ, and two against one is as even as it can be
    alone = compare_sums(share, counts(a), counts(b), wins=(20, 10))
    assert found.high - found.low > 2 * (alone.high - alone.low)


def test_one_group_says_nothing():
    groups = ("only",) * 30
    found = compare_sums(share, counts(np.ones(30), groups), counts(np.zeros(30), groups), wins=(30, 0))
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_groups_are_summed():
    codes = cluster_codes(("x", None, "x", None), 4)
    assert summed(np.arange(8.0).reshape(1, 4, 2), codes)[0].tolist() == [[4, 6], [2, 3], [6, 7]]


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "groups", "wobble"), [(1, None, 0.0), (1, 30, 0.0), (3, None, 0.04)])
def test_intervals_cover_and_tests_keep_their_level(seeds, groups, wobble):
    """300 worlds without a true difference: 95% of intervals hold 0 and 5% of tests reject, give or take 3 SE."""
    rng = np.random.default_rng(3)
    n, held, rejected = 240, 0, 0
    for world in range(300):
        codes = np.arange(n) if groups is None else np.repeat(np.arange(groups), n // groups)
        hard = np.where(rng.random(n) < 0.5, rng.random(n)[codes], rng.random(n))
        names = () if groups is None else tuple(map(str, codes))

        def system(number, spread, hard=hard, names=names):
            level = 0.8 + spread * rng.standard_normal((number, 1))
            mixed = np.where(rng.random((number, n)) < 0.8, hard, rng.random((number, n)))
            return counts(mixed < level, names)

        found = compare_sums(share, system(seeds, wobble), system(1, 0), wins=(0, 0), resamples=1000, seed=world)
        held += found.low <= 0 <= found.high
        rejected += found.p <= 0.05
        assert found.method == (SEEDED if seeds > 1 else CLUSTERED if groups else RANDOMISED)
    assert held / 300 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300)
    assert rejected / 300 <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 300)


def test_seeds_widen_an_interval():
    rng = np.random.default_rng(4)
    runs = rng.random((3, 1000)) < np.array([[0.7], [0.8], [0.9]])
    alone, together = interval_of(share, counts(runs[0])), interval_of(share, counts(runs))
    assert together.value == pytest.approx(runs.mean())
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("accuracies", [(0.8,) * 5, (0.9, 0.8, 0.7)])
def test_optimism_is_what_the_best_on_dev_loses(accuracies):
    rng = np.random.default_rng(5)
    lost, estimated = [], []
    for world in range(150):
        hard = np.where(rng.random(100) < 0.5, rng.random(100), rng.random((len(accuracies), 100)))
        right = (hard < np.array(accuracies)[:, None]).astype(float)
        best = int(right.mean(axis=1).argmax())
        lost.append(right.mean(axis=1)[best] - accuracies[best])
        stacked = np.stack([right, np.ones_like(right)], axis=-1)
        estimated.append(optimism(share, stacked, np.arange(100), pick=lambda x: int(x.argmax()), seed=world))
    assert np.mean(estimated) == pytest.approx(np.mean(lost), abs=0.01)


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
    found = compare_macro_f1(references, first, second, resamples=200, seed=1)
    assert found.p == pytest.approx(extreme / len(swaps), abs=0.1)
    assert compare_macro_f1(references, first, second, seed=1).p == pytest.approx(extreme / len(swaps))


def test_identical_answers_differ_by_nothing():
    references = ["a", "b"] * 10
    result = compare_macro_f1(references, references, references, resamples=1000)
    assert (result.difference, result.p) == (0, 1)
    assert result.low < result.at_least < 0 < result.at_most < result.high


def test_macro_f1_difference_is_that_of_scikit_learn_and_mirrored():
    rng = np.random.default_rng(2)
    references, one, other = (rng.choice(["a", "b", "c"], 60).tolist() for _ in range(3))
    ours = compare_macro_f1(references, one, other, resamples=2000)
    mirrored = compare_macro_f1(references, other, one, resamples=2000)
    expected = f1_score(references, one, average="macro") - f1_score(references, other, average="macro")
    assert ours.difference == pytest.approx(expected)
    assert mirrored.difference == pytest.approx(-expected)
    assert (ours.low, ours.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=0.02)
    assert ours == compare_macro_f1(references, one, other, resamples=2000)


def test_macro_f1_on_balanced_labels_agrees_with_accuracy():
    """With many examples of two balanced labels both metrics measure the same, so both constructions must agree."""
    rng = np.random.default_rng(4)
    references = ["a", "b"] * 400
    flip = {"a": "b", "b": "a"}
    one, other = ([r if rng.random() < share else flip[r] for r in references] for share in (0.85, 0.8))
    f1 = compare_macro_f1(references, one, other, resamples=4000)
    right = [np.array(references) == np.array(answers) for answers in (one, other)]
    accuracy = compare_counts(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()), 800)
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
        result = compare_macro_f1(references, one, other, resamples=400)
        rejected += result.p <= 0.05
        missed += not result.low <= 0 <= result.high
    assert rejected <= 16
    assert missed <= 16


def test_examples_that_are_alike_are_resampled_as_many():
    """Merging them changes the draws and not what they are draws of."""
    rng = np.random.default_rng(7)
    right = rng.random(400) < 0.8
    alike, apart = counts(right), counts(right + 1e-9 * rng.random(400))
    merged, single = (interval_of(share, each, resamples=20_000) for each in (alike, apart))
    assert (merged.low, merged.high) == pytest.approx((single.low, single.high), abs=2e-3)


def test_a_macro_average_rests_on_the_examples_of_one_label():
    references = ["a", "b", "c", "d"] * 5
    macro = CLASSIFICATION.measure(Metric.MACRO_F1, references, labels=["a", "b", "c", "d", "never"])
    assert macro.rests_on == pytest.approx(0.25)
    assert CLASSIFICATION.measure(Metric.ACCURACY, references).rests_on == 1
    several = MULTI_LABEL.measure(Metric.MACRO_F1, ['["a", "b"]', '["a"]', "[]"])
    assert several.rests_on == pytest.approx((2 / 3 + 1 / 3) / 2)


@pytest.mark.parametrize(
    ("groups", "expected"), [((), False), (("a", "b"), False), ((None, None), False), (("a", None, "a"), True)]
)
def test_two_examples_of_one_group_are_clustered(groups, expected):
    assert clustered(groups) is expected
