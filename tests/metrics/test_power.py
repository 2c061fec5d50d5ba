"""Power and sample sizes against simulation, exact enumeration and Connor's formula."""

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from llmtl.metrics.intervals import Z_ONE_SIDED, tango
from llmtl.metrics.paired import mcnemar_exact
from llmtl.metrics.power import (
    detectable_with_error,
    mcnemar_power,
    minimum_detectable_difference,
    required_examples,
    required_to_rule_out,
    scaled_examples,
)

DRAWS = 4000
"""The standard error of a simulated power of 0.8 is then 0.006."""


def draw_counts(n, *, difference, discordance, seed=11):
    shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    return np.random.default_rng(seed).multinomial(n, shares, size=DRAWS)[:, :2].tolist()


@pytest.mark.parametrize(
    ("n", "difference", "discordance", "alpha"),
    [(20, 0.4, 0.5, 0.05), (100, 0.1, 0.2, 0.05), (150, 0.06, 0.08, 0.01), (600, 0.04, 0.15, 0.05)],
)
def test_power_is_the_share_of_simulated_rejections(n, difference, discordance, alpha):
    counts = draw_counts(n, difference=difference, discordance=discordance)
    rejected = np.mean([a > b and mcnemar_exact(a, b) <= alpha for a, b in counts])
    assert mcnemar_power(n, difference=difference, discordance=discordance, alpha=alpha) == pytest.approx(
        rejected, abs=0.025
    )


@pytest.mark.parametrize("n", [1, 5, 6, 9, 30])
def test_power_is_the_sum_over_all_outcomes(n):
    difference, discordance = 0.2, 0.5
    expected = sum(
        binom.pmf(pairs, n, discordance) * binom.pmf(won, pairs, (discordance + difference) / (2 * discordance))
        for pairs in range(n + 1)
        for won in range(pairs + 1)
        if won > pairs - won and mcnemar_exact(won, pairs - won) <= 0.05
    )
    assert mcnemar_power(n, difference=difference, discordance=discordance) == pytest.approx(expected, abs=1e-12)


def test_the_minimum_detectable_difference_has_the_power_it_promises():
    found = minimum_detectable_difference(150, discordance=0.2)
    assert mcnemar_power(150, difference=found, discordance=0.2) == pytest.approx(0.8, abs=1e-3)
    rejected = np.mean(
        [a > b and mcnemar_exact(a, b) <= 0.05 for a, b in draw_counts(150, difference=found, discordance=0.2)]
    )
    assert rejected == pytest.approx(0.8, abs=0.025)


def test_six_examples_show_only_a_near_certain_win_and_five_show_nothing():
    # six of six are needed: d^6 = 0.8
    assert minimum_detectable_difference(6, discordance=0.3) == pytest.approx(0.8 ** (1 / 6), abs=1e-5)
    assert minimum_detectable_difference(5, discordance=0.3) == 1.0
    assert minimum_detectable_difference(0, discordance=0.3) == 1.0


@pytest.mark.parametrize(("difference", "discordance"), [(0.05, 0.15), (0.1, 0.3), (0.02, 0.1), (0.3, 0.3)])
def test_required_examples_are_just_enough_and_near_connors_formula(difference, discordance):
    needed = required_examples(difference=difference, discordance=discordance)
    assert mcnemar_power(needed, difference=difference, discordance=discordance) >= 0.8
    assert mcnemar_power(needed - 1, difference=difference, discordance=discordance) < 0.8
    z, z_power = norm.ppf(0.975), norm.ppf(0.8)
    spread = math.sqrt(max(0.0, discordance - difference**2))
    connor = ((z * math.sqrt(discordance) + z_power * spread) / difference) ** 2
    # the exact test is conservative: it needs more than the approximation, but not by much
    assert connor <= needed <= 1.25 * connor + 12


def test_required_examples_confirmed_by_simulation():
    needed = required_examples(difference=0.08, discordance=0.2, alpha=0.05 / 3)
    counts = draw_counts(needed, difference=0.08, discordance=0.2)
    assert np.mean([mcnemar_exact(a, b) <= 0.05 / 3 for a, b in counts]) == pytest.approx(0.8, abs=0.025)


def test_ruling_out_a_margin_confirmed_by_simulation():
    needed = required_to_rule_out(difference=-0.01, discordance=0.08, margin=0.03)
    counts = draw_counts(needed, difference=-0.01, discordance=0.08)
    ruled_out = [tango(a, b, needed, z=Z_ONE_SIDED).high <= 0.03 for a, b in counts[:1500]]
    assert np.mean(ruled_out) == pytest.approx(0.8, abs=0.04)


def test_ruling_out_needs_examples_even_when_strategies_never_differ():
    needed = required_to_rule_out(difference=0.0, discordance=0.0, margin=0.02)
    assert tango(0, 0, needed, z=Z_ONE_SIDED).high <= 0.02
    assert tango(0, 0, needed - 1, z=Z_ONE_SIDED).high > 0.02


@pytest.mark.parametrize("difference", [0.0, -0.1, 0.0005])
def test_hopeless_differences_have_no_number(difference):
    assert required_examples(difference=difference, discordance=0.2) is None


def test_a_difference_at_the_margin_cannot_be_ruled_out():
    assert required_to_rule_out(difference=0.02, discordance=0.1, margin=0.02) is None
    assert required_to_rule_out(difference=0.0199, discordance=0.1, margin=0.02) is None


def test_the_normal_approximation_agrees_with_the_exact_search():
    n, difference, discordance = 100, 0.08, 0.2
    error = math.sqrt((discordance - difference**2) / n)
    scaled = scaled_examples(n, standard_error=error, distance=difference)
    assert scaled == pytest.approx(required_examples(difference=difference, discordance=discordance), rel=0.1)
    assert scaled_examples(n, standard_error=error, distance=0.0) is None
    assert scaled_examples(n, standard_error=error, distance=1e-4) is None
    detectable = detectable_with_error(error)
    assert detectable == pytest.approx(minimum_detectable_difference(n, discordance=discordance), rel=0.1)
    assert detectable_with_error(3.0) == 1.0
