"""Intervals against statsmodels, published examples and a direct maximisation of the likelihood."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from sklearn.metrics import f1_score
from statsmodels.stats.proportion import proportion_confint

from llmtl.errors import DataError
from llmtl.metrics.intervals import Z_ONE_SIDED, f1_interval, tango, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 24), (24, 24), (3, 7), (91, 100), (2999, 3000)])
def test_wilson_is_that_of_statsmodels(successes, n):
    interval = wilson(successes, n)
    assert (interval.low, interval.high) == pytest.approx(proportion_confint(successes, n, method="wilson"), abs=1e-12)
    assert interval.value == successes / n


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (5, 4), (-1, 4)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(DataError, match="0 to n successes"):
        wilson(successes, n)


# Fagerland, Lydersen & Laake (2014), the two examples of the R package contingencytables, and PropCIs::scoreci.mp
@pytest.mark.parametrize(
    ("only_a", "only_b", "n", "low", "high"),
    [(1, 7, 21, -0.517, -0.026), (6, 16, 161, -0.124, -0.005), (40, 20, 160, 0.031, 0.218)],
)
def test_tango_reproduces_published_intervals(only_a, only_b, n, low, high):
    interval = tango(only_a, only_b, n)
    assert interval.low == pytest.approx(low, abs=6e-4)
    assert interval.high == pytest.approx(high, abs=6e-4)


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(3, 1, 12), (0, 5, 40), (9, 9, 30), (12, 2, 60), (0, 0, 25)])
def test_the_ends_of_tango_are_where_a_directly_maximised_score_test_rejects(only_a, only_b, n):
    """The score statistic with the nuisance parameter found by scipy instead of the closed form."""

    def score(difference):
        def minus_log_likelihood(only_b_share):
            shares = (only_b_share + difference, only_b_share, 1 - 2 * only_b_share - difference)
            counts = (only_a, only_b, n - only_a - only_b)
            return -sum(c * np.log(max(p, 1e-300)) for c, p in zip(counts, shares, strict=True) if c)

        bounds = (max(0.0, -difference), (1 - difference) / 2)
        share = minimize_scalar(minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        variance = (2 * share + difference - difference**2) / n
        return ((only_a - only_b) / n - difference) / np.sqrt(variance)

    interval = tango(only_a, only_b, n)
    assert score(interval.low) == pytest.approx(norm.ppf(0.975), abs=1e-3)
    assert score(interval.high) == pytest.approx(-norm.ppf(0.975), abs=1e-3)


def test_tango_without_discordant_pairs_is_not_empty():
    z = norm.ppf(0.975)
    interval = tango(0, 0, 100)
    assert (interval.low, interval.value, interval.high) == pytest.approx(
        (-(z**2) / (100 + z**2), 0, z**2 / (100 + z**2))
    )


@pytest.mark.parametrize("n", [1, 2, 6, 100])
def test_tango_stays_within_bounds_when_one_side_wins_everything(n):
    won, lost = tango(n, 0, n), tango(0, n, n)
    assert (won.value, won.high) == (1.0, 1.0)
    assert -1 < won.low < 1
    assert (lost.low, lost.high) == pytest.approx((-1.0, -won.low))


def test_tango_of_swapped_sides_is_mirrored_and_one_sided_bounds_lie_inside():
    ours, mirrored, one_sided = tango(12, 5, 80), tango(5, 12, 80), tango(12, 5, 80, z=Z_ONE_SIDED)
    assert (ours.low, ours.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert ours.low < one_sided.low < ours.value < one_sided.high < ours.high


@pytest.mark.parametrize(("only_a", "only_b", "n"), [(0, 0, 0), (3, 3, 5), (-1, 2, 5)])
def test_tango_refuses_impossible_counts(only_a, only_b, n):
    with pytest.raises(DataError, match="discordant"):
        tango(only_a, only_b, n)


@pytest.mark.parametrize(("right", "expected", "given"), [(0, 5, 3), (4, 12, 6), (7, 7, 7), (30, 41, 52)])
def test_the_interval_of_f1_is_wilson_s_of_the_share_that_it_is_a_function_of(right, expected, given):
    found = f1_interval(right, expected, given)
    truth = [True] * expected + [False] * (given - right)
    claimed = [True] * right + [False] * (expected - right) + [True] * (given - right)
    assert found.value == pytest.approx(f1_score(truth, claimed, zero_division=0))
    low, high = proportion_confint(right, expected + given - right, method="wilson")
    assert (found.low, found.high) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)), abs=1e-12)


def test_the_interval_of_f1_holds_its_level_on_few_examples():
    rng = np.random.default_rng(1)
    recall, wrongly = 0.7, 0.1
    right, wrong = rng.binomial(20, recall, 4000), rng.binomial(80, wrongly, 4000)
    # of infinitely many examples in the same proportions
    true = 2 * 20 * recall / (20 + 20 * recall + 80 * wrongly)
    pairs = zip(right.tolist(), wrong.tolist(), strict=True)
    found = [f1_interval(hits, 20, hits + extra) for hits, extra in pairs]
    assert 0.93 < np.mean([each.low <= true <= each.high for each in found]) <= 1
