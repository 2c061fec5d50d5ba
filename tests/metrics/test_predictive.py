"""The chance that further examples settle a difference, against enumeration, simulation and its own calibration."""

import numpy as np
import pytest
from scipy.special import hyperu
from scipy.stats import dirichlet, halfcauchy, multinomial, norm

from llmtl.metrics.intervals import Z_ONE_SIDED, tango, tango_scores
from llmtl.metrics.paired import mcnemar_exact
from llmtl.metrics.predictive import chance_by_counts, chance_by_error

MARGIN = 0.05


def settled(only_a, only_b, n, alpha):
    bound = tango(only_a, only_b, n, z=Z_ONE_SIDED).high
    return mcnemar_exact(only_a, only_b) <= alpha or bound <= MARGIN


def horseshoe(differences, error):
    """The prior density of a difference, but for a constant: e^x E1(x) is Tricomi's U(1, 1, x)."""
    return hyperu(1, 1, (differences / error) ** 2 / 2)


@pytest.mark.parametrize(("only_a", "only_b", "n", "further"), [(5, 1, 30, 12), (4, 4, 60, 15), (0, 0, 20, 25)])
def test_the_chance_is_the_sum_over_all_outcomes_of_further_examples(only_a, only_b, n, further):
    posterior = dirichlet([only_a + 0.5, only_b + 0.5, n - only_a - only_b + 1])
    shares = posterior.rvs(20_000, random_state=5)
    # the standard error in closed form: that of a difference of two shares of a Dirichlet distribution
    covariance = posterior.cov()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    weights = horseshoe(shares[:, 0] - shares[:, 1], error)
    expected = sum(
        np.average(multinomial.pmf([won, lost, further - won - lost], further, shares), weights=weights)
        for won in range(further + 1)
        for lost in range(further + 1 - won)
        if settled(only_a + won, only_b + lost, n + further, 0.05)
    )
    found = chance_by_counts(only_a, only_b, n, further=further, margin=MARGIN, alpha=0.05)
    assert found == pytest.approx(expected, abs=0.03)


def test_of_many_open_results_as_many_are_settled_as_was_told():
    rng = np.random.default_rng(3)
    told, came_true = [], []
    for _ in range(300):
        discordance = 0.4
        error = np.sqrt(discordance / 80)
        difference = np.clip(error * halfcauchy.rvs(random_state=rng) * rng.standard_normal(), -0.3, 0.3)
        shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
        seen = rng.multinomial(80, shares)
        told.append(chance_by_counts(*seen[:2], 80, further=160, margin=MARGIN, alpha=0.05))
        both = seen + rng.multinomial(160, shares)
        came_true.append(settled(int(both[0]), int(both[1]), 240, 0.05))
    assert np.mean(told) == pytest.approx(np.mean(came_true), abs=0.05)


@pytest.mark.parametrize("difference", [-0.03, 0.01, 0.04])
@pytest.mark.parametrize("lasting_error", [0.0, 0.015])
def test_the_chance_from_a_standard_error_is_that_of_simulated_examples(difference, lasting_error):
    n, further, error, alpha = 200, 300, 0.03, 0.025
    sampling = np.sqrt(error**2 - lasting_error**2)
    rng = np.random.default_rng(8)
    true = difference + error * rng.standard_normal(200_000)
    # what the same draws of both strategies score on endless examples, then on the further ones
    endless = true + (lasting_error / error) ** 2 * (difference - true)
    endless += lasting_error * sampling / error * rng.standard_normal(200_000)
    new = endless + sampling * np.sqrt(n / further) * rng.standard_normal(200_000)
    together = (n * difference + further * new) / (n + further)
    spread = np.sqrt(sampling**2 * n / (n + further) + lasting_error**2)
    shown = np.abs(together) >= norm.ppf(1 - alpha / 2) * spread
    ruled_out = together + norm.ppf(0.95) * spread <= MARGIN
    found = chance_by_error(
        difference,
        n,
        standard_error=error,
        further=further,
        margin=MARGIN,
        alpha=alpha,
        lasting_error=lasting_error,
    )
    assert found == pytest.approx(np.average(shown | ruled_out, weights=horseshoe(true, error)), abs=0.006)


def test_what_is_certain_stays_so():
    assert chance_by_error(0.1, 50, standard_error=0, further=10, margin=0.02, alpha=0.05) == 1
    assert chance_by_counts(90, 2, 200, further=50, margin=0.02, alpha=0.05) == pytest.approx(1)


def test_the_scores_of_many_counts_end_where_the_interval_does():
    wins, losses = np.array([0, 3, 12, 40]), np.array([0, 9, 5, 40])
    for won, lost in zip(wins.tolist(), losses.tolist(), strict=True):
        high = tango(won, lost, 120).high
        [found] = tango_scores(high, np.array([won]), np.array([lost]), n=120)
        assert found == pytest.approx(norm.ppf(0.025), abs=1e-6)
