"""Wins, losses and ties counted, against scipy and statsmodels."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from llmtl.judging.config import JudgeConfig
from llmtl.judging.pairs import Judged, PairOutcome
from llmtl.judging.tally import corrected, tally, win_rate


def judged(wins, losses, ties, failures=0):
    """Return asked outcomes, ties split into consistent ones and others."""
    return [
        *[Judged(PairOutcome.A, True, "A", "B")] * wins,
        *[Judged(PairOutcome.B, True, "B", "A")] * losses,
        *[Judged(PairOutcome.TIE, True, "A", "A")] * ties,
        *[Judged(PairOutcome.FAILURE, True, None, "A")] * failures,
    ]


@pytest.mark.parametrize("counts", [(12, 3, 5), (0, 0, 4), (7, 7, 0), (30, 0, 0), (1, 9, 90), (0, 1, 0)])
def test_the_sign_test_is_that_of_scipy_and_ties_count_half(counts):
    wins, losses, ties = counts
    found = tally("x", "y", judged=judged(*counts, failures=3))
    assert found.p == pytest.approx(binomtest(wins, wins + losses).pvalue if wins + losses else 1.0)
    assert found.win_rate == pytest.approx(np.mean([1.0] * wins + [0.0] * losses + [0.5] * ties))
    assert found.ci95[0] <= found.win_rate <= found.ci95[1]
    assert (found.wins, found.losses, found.ties, found.failures) == (*counts, 3)


@pytest.mark.parametrize(("wins", "losses"), [(12, 3), (60, 40), (0, 20), (101, 99)])
def test_without_ties_the_interval_is_wilsons(wins, losses):
    _, ends = win_rate(wins, losses, 0)
    assert ends == pytest.approx(proportion_confint(wins, wins + losses, method="wilson"), abs=1e-9)


@pytest.mark.parametrize("shares", [(0.3, 0.2, 0.5), (0.05, 0.15, 0.8), (0.6, 0.1, 0.3)])
def test_the_interval_covers_the_true_win_rate_with_ties(shares):
    rng = np.random.default_rng(3)
    truth = shares[0] + shares[2] / 2
    draws = [win_rate(*map(int, rng.multinomial(80, shares)))[1] for _ in range(600)]
    covered = sum(low <= truth <= high for low, high in draws)
    assert binomtest(covered, len(draws), 0.95).pvalue > 0.001


def test_nothing_to_count_has_no_win_rate():
    found = tally("x", "y", judged=judged(0, 0, 0, failures=4))
    assert (found.win_rate, found.ci95, found.p, found.consistency) == (None, None, 1.0, None)
    assert found.preferred(0.05) is None


def test_consistency_is_over_pairs_with_two_readable_replies():
    items = [
        Judged(PairOutcome.A, True, "A", "B"),
        Judged(PairOutcome.TIE, True, "tie", "tie"),
        Judged(PairOutcome.TIE, True, "A", "A"),
        Judged(PairOutcome.TIE, True, "tie", "A"),
        Judged(PairOutcome.FAILURE, True, "A", None),
        Judged(PairOutcome.TIE),
        Judged(PairOutcome.B),
    ]
    found = tally("x", "y", judged=items)
    assert (found.consistency, found.identical, found.unanswered) == (0.5, 1, 1)
    assert (found.wins, found.losses, found.ties, found.failures) == (1, 1, 4, 1)


def test_p_values_are_corrected_as_statsmodels_does():
    counts = [(12, 3), (9, 1), (5, 5), (20, 8)]
    found = corrected([tally("x", "y", judged=judged(*pair, 2)) for pair in counts])
    expected = multipletests([binomtest(w, w + lost).pvalue for w, lost in counts], method="holm")[1]
    assert [item.p_holm for item in found] == pytest.approx(list(expected))
    assert [item.preferred(0.05) for item in found] == [None if p > 0.05 else "x" for p in expected]


def test_the_default_number_of_examples_has_the_power_that_is_claimed():
    n = JudgeConfig.model_fields["max_examples"].default
    assert n == 200
    shown = [k for k in range(n + 1) if binomtest(k, n).pvalue <= 0.05]
    assert binom.pmf(shown, n, 0.6).sum() == pytest.approx(0.79, abs=0.005)
