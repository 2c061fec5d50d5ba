"""One draw: how far another would move a score, and what that does to intervals and p-values."""

import numpy as np
import pytest
from scipy.stats import norm, t

from llmtl.metrics.between_draws import DEGREES, STATED, stated_sd, widen, widen_score
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.paired import PairedDifference, compare_counts
from llmtl.task import Draw


def normal(difference, error, n=10**9):
    """Return what an exactly normal comparison would say."""
    two, one, joint = (norm.ppf(level) * error for level in (0.975, 0.95, 0.995))
    return PairedDifference(
        difference=difference,
        low=difference - two,
        high=difference + two,
        at_least=difference - one,
        at_most=difference + one,
        p=2 * norm.sf(abs(difference) / error),
        n=n,
        only_a=0,
        only_b=0,
        standard_error=error,
        method="normal",
        joint=(difference - joint, difference + joint),
    )


def test_a_normal_comparison_becomes_that_of_the_sum_of_both_variances():
    found = widen(normal(0.10, 0.03), 0.04, alpha=0.01)
    degrees = DEGREES * (1 + (3 / 4) ** 2) ** 2
    expected = {level: 0.10 + t.ppf(level, degrees) * 0.05 for level in (0.025, 0.05, 0.95, 0.975, 0.005, 0.995)}
    ends = (found.low, found.at_least, found.at_most, found.high, *found.joint)
    assert ends == pytest.approx(tuple(expected.values()))
    assert found.p == pytest.approx(2 * t.sf(2, degrees))
    assert found.standard_error == pytest.approx(0.05)
    assert found.draw_error == 0.04


def test_where_examples_leave_nothing_open_it_is_a_t_with_the_degrees_of_the_stated_spread():
    found = widen(normal(0.10, 1e-9), 0.05)
    assert found.p == pytest.approx(2 * t.sf(2, DEGREES), rel=1e-3)
    assert found.high == pytest.approx(0.10 + t.ppf(0.975, DEGREES) * 0.05)


def test_an_exact_comparison_keeps_its_skew_and_is_not_exact_any_more():
    plain = compare_counts(12, 2, 60)
    found = widen(plain, 0.05)
    assert not found.exact
    assert found.low < plain.low < plain.at_least
    assert found.high > plain.high > plain.at_most
    assert found.p > plain.p
    assert (found.high - found.difference > found.difference - found.low) == (
        plain.high - plain.difference > plain.difference - plain.low
    )
    assert widen(plain, 0.0) == plain


def test_no_difference_stays_no_difference():
    assert widen(compare_counts(3, 3, 50), 0.05).p == 1
    assert widen(compare_counts(1, 0, 50), 0.05).p == 1


def test_a_score_stays_between_0_and_1():
    assert widen_score(Interval(0.99, 0.97, 1.0), 0.05).high == 1.0
    plain = wilson(80, 100)
    wide = widen_score(plain, 0.06)
    assert wide.low < plain.low - 0.05
    assert wide.value == plain.value
    assert widen_score(plain, 0.0) == plain


def test_the_stated_spread_is_widest_in_the_middle_and_never_zero():
    assert stated_sd(Draw.TRAINING, 0.5, 10**6) == pytest.approx(STATED[Draw.TRAINING] / 2)
    assert 0 < stated_sd(Draw.DEMONSTRATIONS, 1.0, 50) < stated_sd(Draw.DEMONSTRATIONS, 0.9, 50)
    assert set(STATED) == {Draw.TRAINING, Draw.DEMONSTRATIONS, Draw.REPLIES}


def test_one_draw_against_itself_is_called_different_in_5_of_100_where_the_stated_spread_is_the_true_one():
    """The variance of each task is drawn from the scaled inverse chi-square that a t with 4 degrees stands for."""
    rng = np.random.default_rng(0)
    n, stated = 400, 0.05
    rejected = 0
    for _ in range(4000):
        spread = stated * np.sqrt(DEGREES / rng.chisquare(DEGREES))
        shift = np.sqrt(2) * spread * rng.standard_normal()
        discordant = rng.binomial(n, min(1.0, 0.2 + abs(shift)))
        won = rng.binomial(discordant, np.clip(0.5 + shift / 2 / min(1.0, 0.2 + abs(shift)), 0, 1))
        rejected += widen(compare_counts(won, discordant - won, n), np.sqrt(2) * stated).p <= 0.05
    assert rejected / 4000 == pytest.approx(0.05, abs=0.012)
