"""Ratios of sums: the values by hand, and intervals like those of the delta method."""

import numpy as np
import pytest

from llmtl.metrics.ratios import perplexity_ratio, share_of_rise


def losses(n=200, rise=0.1, seed=3):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(30, 80, n)
    before = tokens * rng.normal(3.0, 0.4, n)
    return before, before * (1 + rise + rng.normal(0, 0.1, n)), tokens


def test_values_are_those_of_the_sums():
    before, after, tokens = losses()
    assert share_of_rise(before, after).value == pytest.approx(after.sum() / before.sum() - 1)
    expected = np.exp((after - before).sum() / tokens.sum())
    assert perplexity_ratio(before, after, tokens).value == pytest.approx(expected)


def test_the_interval_of_a_rise_is_that_of_the_delta_method():
    before, after, _ = losses()
    found, ratio = share_of_rise(before, after), after.sum() / before.sum()
    error = (after - ratio * before).std(ddof=1) * np.sqrt(len(before)) / before.sum()
    assert found.high - found.low == pytest.approx(2 * 1.972 * error, rel=0.06)  # t of 199 degrees of freedom


def test_nothing_that_changed_has_an_interval_of_nothing():
    before, _, tokens = losses()
    same, ratio = share_of_rise(before, before), perplexity_ratio(before, before, tokens)
    assert (same.value, same.low, same.high) == pytest.approx((0, 0, 0))
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1, 1, 1))


def test_one_text_has_no_interval():
    with pytest.raises(ValueError, match="at least two"):
        share_of_rise([1.0], [2.0])
