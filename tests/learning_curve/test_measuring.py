"""What will be measured, against draws of the same mixture."""

import numpy as np
import pytest
from scipy.special import ndtr

from llmtl.learning_curve.measuring import (
    DEPARTURE_SD,
    Sampling,
    departures,
    gain_quantiles,
    reached,
    score_quantiles,
)
from llmtl.learning_curve.power_law import DRAW_SDS, Posterior

SAMPLING = Sampling(0.02**2, 0.2, 400)


def two_laws() -> Posterior:
    """Return a steep law and a shallow one, each with two noises of the draw."""
    weight = np.zeros((2, len(DRAW_SDS)))
    weight[0, [0, 2]], weight[1, [1, 4]] = (0.3, 0.3), (0.2, 0.2)
    level, exponent = np.array([0.2, 0.22]), np.array([0.5, 0.1])
    return Posterior(100.0, level, exponent, np.full(2, np.inf), np.zeros(2), weight)


@pytest.mark.parametrize("size", [100, 200, 400])
def test_quantiles_of_scores_and_gains_are_those_of_draws(size: int) -> None:
    rng = np.random.default_rng(1)
    laws = two_laws()
    weight = laws.by_draw_sd.ravel()
    cell, noise = np.divmod(rng.choice(weight.size, 200_000, p=weight / weight.sum()), len(DRAW_SDS))
    errors = laws.errors(size)[cell]
    depart = DEPARTURE_SD * np.sqrt(np.log2(size / 100)) * errors * (1 - errors) * rng.standard_normal(len(cell))
    sampling = np.sqrt(0.02**2 * errors * (1 - errors) / 0.16 + (0.5 / 400) ** 2)
    measured = 1 - errors - depart + np.hypot(DRAW_SDS[noise], sampling) * rng.standard_normal(len(cell))
    shares = (0.1, 0.5, 0.9)
    assert score_quantiles(laws, size, shares, SAMPLING) == pytest.approx(np.quantile(measured, shares), abs=0.002)
    gains = np.maximum(laws.errors(100)[cell] - errors - depart, 0)
    assert gain_quantiles(laws, size, shares) == pytest.approx(np.quantile(gains, shares), abs=0.002)


def test_what_is_reached_departs_only_beyond_the_data() -> None:
    laws = two_laws()
    assert reached(laws, 100, 0.21) == pytest.approx(0.6)
    errors = laws.errors(400)
    apart = DEPARTURE_SD * np.sqrt(2) * errors * (1 - errors)
    assert departures(laws, 400, errors) == pytest.approx(apart)
    assert reached(laws, 400, 0.15) == pytest.approx((np.array([0.6, 0.4]) * ndtr((0.15 - errors) / apart)).sum())
