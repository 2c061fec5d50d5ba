"""From the laws' posterior to what will be measured: departures from every law, the draw of train, the sample of dev.

Four things are unknown of a score that somebody will measure with more examples: the law (its posterior), by how much
the curve departs from all laws, which examples are drawn for train, and which for dev. Bands of the law alone held 47%
of what was measured of real fine-tuning curves at four times the data (`evals/learning_curves/README.md`).

Not covered: scores on examples that are unlike today's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from llmtl.learning_curve.power_law import DRAW_SDS, Floats, Posterior

DEPARTURE_SD = 0.4
"""By how much real curves depart from all laws: a standard deviation in the logit of the error, at twice the data; it
grows with the square root of the doublings, as a random walk does. Set on real curves
(`evals/learning_curves/real_curves.py`, which also says what the bands hold on data sets that did not set it)."""
_BINS = 401
"""Values are put together on a grid before quantiles are solved: steps of at most a quarter of a point."""


@dataclass(frozen=True)
class Sampling:
    """The sampling variance of an error of `error`, measured on `examples`."""

    variance: float
    error: float
    examples: int

    def at(self, errors: Floats) -> Floats:
        """Scale the variance to other errors as a share's, p (1 - p); it is no less than half an example makes."""
        least = 0.5 / self.examples
        seen = min(max(self.error, least), 1 - least)
        return np.asarray(self.variance * errors * (1 - errors) / (seen * (1 - seen)) + least**2)


def score_quantiles(
    posterior: Posterior,
    size: float,
    shares: Sequence[float],
    sampling: Sampling,
    *,
    departure_sd: float = DEPARTURE_SD,
) -> Floats:
    """Compute quantiles of the score that will be measured at a size, within 0 and 1."""
    errors = posterior.errors(size)
    variances = departures(posterior, size, errors, departure_sd) ** 2 + sampling.at(errors)
    return np.clip(_quantiles(1 - errors, posterior.by_draw_sd, variances, DRAW_SDS**2, shares), 0.0, 1.0)


def gain_quantiles(posterior: Posterior, size: float, shares: Sequence[float]) -> Floats:
    """Compute quantiles of the true gain in score from the largest size to this one, at least 0, without noise."""
    errors = posterior.errors(size)
    gains = posterior.errors(posterior.largest) - errors
    variances = departures(posterior, size, errors) ** 2
    return np.maximum(_quantiles(gains, posterior.weight[:, None], variances, np.zeros(1), shares), 0.0)


def reached(posterior: Posterior, size: float, error: float) -> float:
    """Compute the probability that the true error at a size is at most `error`."""
    errors = posterior.errors(size)
    apart = np.maximum(departures(posterior, size, errors), 1e-12)
    return float((posterior.weight * ndtr((error - errors) / apart)).sum() / posterior.weight.sum())


def departures(posterior: Posterior, size: float, errors: Floats, departure_sd: float = DEPARTURE_SD) -> Floats:
    """Compute the standard deviation of the departure from each cell's error; 0 up to the largest size."""
    doublings = max(0.0, float(np.log2(size / posterior.largest)))
    return np.asarray(departure_sd * np.sqrt(doublings) * errors * (1 - errors))


def _quantiles(values: Floats, weights: Floats, variances: Floats, drawn: Floats, shares: Sequence[float]) -> Floats:
    """Compute quantiles of a mixture of normal distributions by bisection: one per cell and noise of the draw.

    `values` and `variances` are the cells', `weights` is (cells, S), and `drawn` (S,) adds a variance for each noise.
    Cells of nearly the same value become one, of their mean variance.
    """
    low, high = float(values.min()), float(values.max())
    step = max((high - low) / (_BINS - 1), 1e-12)
    cell = np.rint((values - low) / step).astype(np.intp)
    mass = np.stack([np.bincount(cell, column, _BINS) for column in weights.T], axis=1)
    used = mass.sum(axis=1) > 0
    mass = mass[used]
    spread = np.bincount(cell, weights.sum(axis=1) * variances, _BINS)[used] / mass.sum(axis=1)
    centres: Floats = (low + step * np.flatnonzero(used)[:, None]).astype(np.float64)
    sds: Floats = np.sqrt(spread[:, None] + drawn + step**2 / 12).astype(np.float64)
    widest = 8 * float(sds.max())
    return np.array(
        [_solved(centres, mass / mass.sum(), sds, share, (low - widest, high + widest)) for share in shares]
    )


def _solved(centres: Floats, mass: Floats, sds: Floats, share: float, ends: tuple[float, float]) -> float:
    low, high = ends
    while high - low > 1e-4:
        middle = (low + high) / 2
        if float((mass * ndtr((middle - centres) / sds)).sum()) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2
