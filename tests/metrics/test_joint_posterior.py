"""The joint posterior of mean losses, against Beta and Dirichlet distributions."""

import numpy as np
import pytest
from scipy.stats import beta, dirichlet

from llmtl.metrics.joint_posterior import posterior_draws, posterior_means

DRAWS = 20_000


def outcomes(both_wrong: int, only_a: int, only_b: int, n: int) -> list[np.ndarray]:
    """Make the losses of two systems with so many examples that both, only a and only b get wrong."""
    a, b = np.zeros((2, 1, n))
    a[0, : both_wrong + only_a] = 1
    b[0, :both_wrong] = 1
    b[0, both_wrong + only_a : both_wrong + only_a + only_b] = 1
    return [a, b]


@pytest.mark.parametrize("wrong", [0, 3, 40])
def test_an_error_rate_has_the_posterior_of_jeffreys(wrong: int) -> None:
    losses = outcomes(wrong, 0, 0, 60)
    exact = beta(wrong + 0.5, 60 - wrong + 0.5)
    found = posterior_draws(losses, np.arange(60), draws=DRAWS)[:, 0]
    assert posterior_means(losses, np.arange(60))[0] == pytest.approx(exact.mean())
    assert found.mean() == pytest.approx(exact.mean(), abs=4 * exact.std() / DRAWS**0.5)
    assert found.std() == pytest.approx(exact.std(), rel=0.03)
    assert np.quantile(found, 0.975) == pytest.approx(exact.ppf(0.975), rel=0.04)


def test_a_difference_varies_as_the_four_outcomes_of_two_systems_do() -> None:
    n, both, only_a, only_b = 100, 10, 8, 3
    found = posterior_draws(outcomes(both, only_a, only_b, n), np.arange(n), draws=DRAWS)
    exact = dirichlet(np.array([both, only_a, only_b, n - both - only_a - only_b]) + 0.25)
    covariance = exact.cov()
    variance = covariance[1, 1] + covariance[2, 2] - 2 * covariance[1, 2]
    difference = found[:, 0] - found[:, 1]
    assert difference.mean() == pytest.approx(exact.mean()[1] - exact.mean()[2], abs=4 * (variance / DRAWS) ** 0.5)
    assert difference.var() == pytest.approx(variance, rel=0.05)


def test_groups_that_err_together_leave_more_in_doubt() -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(30), 10)
    losses = [np.repeat(rng.random(30) < 0.3, 10)[None].astype(float)]
    together = posterior_draws(losses, codes).std()
    alone = posterior_draws(losses, np.arange(300)).std()
    assert together == pytest.approx(10**0.5 * alone, rel=0.15)
    assert posterior_means(losses, codes)[0] == pytest.approx((losses[0].sum() / 10 + 0.5) / 31)


def test_several_draws_of_a_system_widen_its_posterior() -> None:
    rng = np.random.default_rng(1)
    rows = np.stack([rng.random(400) < share for share in (0.1, 0.2, 0.3)]).astype(float)
    one, three = (posterior_draws([each], np.arange(400)).std() for each in (rows[:1], rows))
    assert three > 2 * one


def test_losses_may_be_amounts_of_money() -> None:
    losses = [np.array([[0.0, 5.0, 0.0, 0.0]]), np.array([[2.0, 0.0, 0.0, 0.0]])]
    assert posterior_means(losses, np.arange(4), worst=4.0) == pytest.approx([(5 + 2) / 5, (2 + 2) / 5])
    assert posterior_draws(losses, np.arange(4), worst=4.0, draws=DRAWS).mean(axis=0) == pytest.approx(
        [7 / 5, 4 / 5], rel=0.03
    )
