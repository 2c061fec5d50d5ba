"""The interval of a share of items: Wilson's where items are independent, and coverage near 0 and 1 by simulation."""

import numpy as np
import pytest

from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.metrics.intervals import wilson
from llmtl.metrics.summed import Counts, interval_of
from llmtl.task import Metric

F1 = MULTI_LABEL.measure(Metric.MICRO_F1, ['["a"]']).value


def counts(hits, expected, groups=()):
    """Count R seeds of N examples with as many false claims as misses: the size is twice what there is to find."""
    hits, expected = np.atleast_2d(np.asarray(hits, float)), np.asarray(expected, float)
    each = np.stack([hits, np.broadcast_to(2 * expected, hits.shape)], axis=-1)
    perfect = np.array([expected.mean(), 2 * expected.mean()])
    return Counts(each, perfect, perfect * (0, 1), groups, of_items=True)


def test_one_item_per_example_has_nearly_wilson_s_interval():
    found = interval_of(F1, counts(np.arange(2000) < 600, np.ones(2000)))
    expected = wilson(600, 2000)
    assert (found.value, found.low, found.high) == pytest.approx((0.3, expected.low, expected.high), abs=5e-4)


@pytest.mark.parametrize(("n", "items"), [(50, 1), (50, 5), (500, 3)])
def test_without_a_hit_or_an_error_it_is_wider_than_of_independent_items_and_hardly_wider_than_with_one(n, items):
    expected = np.full(n, items)
    one = np.arange(n) == 0
    none, all_found, first = (interval_of(F1, counts(hits, expected)) for hits in (0 * expected, expected, one))
    assert none.value == none.low == 0
    assert all_found.value == all_found.high == 1
    assert none.high == pytest.approx(1 - all_found.low)
    assert wilson(0, n * items).high <= none.high <= 1.01 * first.high
    assert first.high <= 2 * wilson(1, n * items).high


def test_items_of_one_example_count_less_where_they_are_alike():
    hits = np.repeat([5, 0], [30, 20])
    found = interval_of(F1, counts(hits, np.full(50, 5)))
    expected = wilson(30, 50)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.02)


def test_copies_in_groups_add_nothing_and_seeds_widen():
    rng = np.random.default_rng(1)
    hits = rng.binomial(3, 0.3, 60)
    alone = interval_of(F1, counts(hits, np.full(60, 3)))
    groups = tuple(map(str, range(60))) * 4
    copied = interval_of(F1, counts(np.tile(hits, 4), np.full(240, 3), groups))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high), abs=0.02)
    several = rng.binomial(3, np.array([[0.1], [0.3], [0.5]]), (3, 60))
    together = interval_of(F1, counts(several, np.full(60, 3)))
    assert together.value == pytest.approx(several.sum() / (3 * 180))
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.95, 0.98])
def test_near_0_and_1_it_holds_the_true_score(share):
    """Of 400 samples at most 35 miss; 5% is 20, and 36 or more have probability 0.0006."""
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(400):
        expected = 1 + rng.poisson(2, 50)
        found = interval_of(F1, counts(rng.binomial(expected, rng.beta(9 * share, 9 * (1 - share), 50)), expected))
        missed += not found.low <= share <= found.high
    assert missed <= 35
