"""Draws of the share that a test is expected to confirm, against closed forms."""

import numpy as np
import pytest
from scipy.stats import betabinom, binom

from llmtl.metrics.selective import Marked, TestAhead, build_ladder, expected_share, most_errors
from llmtl.metrics.share_ahead import Shared, by_threshold, draw_shares

AHEAD = TestAhead(300, 0.05, 0.05)


def drawn(*systems, ahead=AHEAD, draws=20_000, seed=0):
    """Return the draws of strategies, each given as its examples and its thresholds."""
    rows = [[by_threshold(marked, thresholds)] for marked, thresholds in systems]
    shared = Shared(systems[0][0].codes)
    return [item[0] for item in draw_shares(rows, shared, ahead, draws=draws, rng=np.random.default_rng(seed))]


def answers(n, wrong, confidence=0.9):
    return Marked.of(np.full(n, confidence), np.arange(n) >= wrong)


@pytest.mark.parametrize("n", [10, 58, 59, 93, 100, 300])
def test_the_most_errors_that_pass_are_those_of_the_binomial_test(n):
    passing = [k for k in range(n) if binom.cdf(k, n, 0.05) <= 0.05]
    assert most_errors(AHEAD)[n] == max(passing, default=-1)


@pytest.mark.parametrize("wrong", [0, 3, 8])
def test_where_everything_is_let_through_the_mean_is_the_beta_binomial_chance_of_passing(wrong):
    (found,) = drawn((answers(300, wrong), (0.0,)))
    chance = betabinom(300, wrong + 0.5, 300 - wrong + 0.5).cdf(most_errors(AHEAD)[300])
    assert found.mean() == pytest.approx(chance, abs=0.01)
    ladder = build_ladder(answers(300, wrong), 300, limit=0.05, level=0.05, all_or_none=True)
    assert expected_share(ladder) == pytest.approx(chance)


def test_what_never_errs_is_expected_to_be_left_the_share_that_is_sure():
    # 400 of 1,000 lie above the only threshold, none of them wrong
    marked = Marked.of(np.where(np.arange(1000) < 400, 0.9, 0.1), np.arange(1000) < 400)
    (found,) = drawn((marked, (0.5,)), ahead=TestAhead(2000, 0.05, 0.05))
    assert found.mean() == pytest.approx(0.4, abs=0.002)
    assert found.std() == pytest.approx(np.sqrt(0.4 * 0.6 / 1001), rel=0.05)  # the Bayesian bootstrap of a share


def test_without_thresholds_nothing_can_be_left():
    assert not drawn((answers(100, 0), ()))[0].any()


def test_strategies_are_paired_by_example():
    rng = np.random.default_rng(1)
    confidence = rng.random(1000)
    marked = Marked.of(confidence, rng.random(1000) < 0.9 + 0.1 * confidence)
    order = rng.permutation(1000)
    shuffled = Marked.of(confidence[order], marked.right[order])
    thresholds = (0.8, 0.6, 0.4, 0.2)
    same, alike = (drawn((marked, thresholds), (other, thresholds)) for other in (marked, shuffled))
    spread = [(first - second).std() for first, second in (same, alike)]
    assert spread[0] < 0.5 * spread[1]
    assert (same[0] - same[1]).mean() == pytest.approx(0, abs=0.002)


def test_failures_are_let_through_at_no_threshold():
    marked = Marked.of([-np.inf, 0.2, 0.7, 0.9], [False, True, False, True])
    rows = by_threshold(marked, (0.8, 0.5, 0.0))
    assert rows.tolist() == [[0] * 6, [0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, 0]]


def test_groups_count_for_as_much_as_their_design_effect_leaves():
    alone = answers(300, 3)
    groups = [str(place // 3) for place in range(300)]
    together = Marked.of(alone.confidence, alone.right, groups)
    (free,), (bound,) = drawn((alone, (0.0,))), drawn((together, (0.0,)))
    # 300 answers in threes are worth 100: 1 error in as many that were seen, and 1 at most to pass
    assert bound.mean() == pytest.approx(betabinom(100, 1.5, 99.5).cdf(1), abs=0.02)
    assert bound.mean() < free.mean()
