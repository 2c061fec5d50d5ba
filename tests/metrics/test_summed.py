"""Comparisons on summed counts: exact enumeration, the exact McNemar test, and coverage by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest

from llmtl.metrics.hierarchical import cluster_codes, summed
from llmtl.metrics.optimism import optimism
from llmtl.metrics.summed import CLUSTERED, RANDOMISED, SEEDED, Counts, compare_sums, interval_of, swap_p

PERFECT, FAILED = np.array([1.0, 1.0]), np.array([0.0, 1.0])


def share(totals):
    return totals[..., 0] / totals[..., 1]


def counts(right, groups=()):
    """Return the counts of seeds x examples."""
    right = np.atleast_2d(np.asarray(right, dtype=float))
    return Counts(np.stack([right, np.ones_like(right)], axis=-1), PERFECT, FAILED, groups)


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
