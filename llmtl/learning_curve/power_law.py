"""The two-parameter power law error = a n^-b, as a posterior over its parameters.

Errors of language and vision models fall as a power of the number of training examples over the range between too few
examples and the irreducible error: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"
(https://arxiv.org/abs/1712.00409); Rosenfeld et al. 2020, "A Constructive Prediction of the Generalization Error Across
Scales" (https://arxiv.org/abs/1909.12673). Mahmood et al. 2022, "How Much More Data Do I Need?"
(https://arxiv.org/abs/2207.01725), found that such extrapolations from little data can be far off, and that labelling
in rounds and asking again after each mends most of it: hence the back-test, the limit of four times the data, and the
advice to forecast again.

The posterior is worked out on a grid, so that it needs no sampler and repeats exactly. Not covered: the irreducible
error, which two parameters cannot express and few points cannot find.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Floats = NDArray[np.float64]

EXPONENTS = np.linspace(0.0, 1.0, 101)
"""The prior of b: uniform from 0 (no learning) to 1. Hestness et al. 2017 measured 0.07 to 0.35 where theory has 0.5 or
1."""
LEVELS = np.geomspace(0.001, 1.0, 240)
"""The prior of the error at the middle size: uniform in its logarithm."""
DRAW_SDS = np.array([0.0, 0.005, 0.01, 0.02, 0.03, 0.05])
DRAW_SD = 0.02
"""Another draw of train of the same size scores differently. The standard deviation of that is unknown; its prior is
half-normal with this scale (our choice: two points), on the grid above."""
NEGLIGIBLE = 1e-7
"""Cells with less weight than this share of the heaviest are dropped."""


@dataclass(frozen=True)
class Posterior:
    """Grid cells of the error at size `middle`, the exponent and the draw's standard deviation; weights sum to 1."""

    middle: float
    level: Floats
    exponent: Floats
    draw_sd: Floats
    weight: Floats

    def errors(self, size: float) -> Floats:
        """Return the error at a size in every cell, at most 1."""
        return np.minimum(1.0, self.level * (size / self.middle) ** -self.exponent)

    def quantiles(self, size: float, shares: Sequence[float]) -> Floats:
        """Return quantiles of the error at a size."""
        return weighted_quantiles(self.errors(size), self.weight, shares)

    def sizes_for(self, error: float) -> Floats:
        """Return the size at which each cell's error falls to `error`; infinite where it never does."""
        with np.errstate(divide="ignore", over="ignore"):
            # an exponent of 0 never gets there, or was there from the start: the limits of a very small one
            return np.asarray(self.middle * np.exp(np.log(self.level / error) / np.maximum(self.exponent, 1e-12)))

    def draws(self, count: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return random levels (at `middle`) and exponents, `count` each."""
        cells = rng.choice(len(self.weight), size=count, p=self.weight)
        return self.level[cells], self.exponent[cells]


def fit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> Posterior:
    """Return the posterior given errors measured at sizes, whose sampling noise has the (k, k) `covariance`.

    The likelihood is normal. The covariance matters because all sizes are scored on the same examples: what they share
    moves all errors together and not their differences.
    """
    n, seen = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    middle = float(np.exp(np.log(n).mean()))
    level, exponent, draw_sd = (
        grid.ravel() for grid in np.meshgrid(LEVELS, EXPONENTS, DRAW_SDS, indexing="ij", copy=False)
    )
    log_weight = np.empty(len(level))
    for sd in DRAW_SDS:
        cells = draw_sd == sd
        expected = np.minimum(1.0, level[cells, None] * (n / middle) ** -exponent[cells, None])
        log_weight[cells] = _log_density(seen - expected, covariance + sd**2 * np.eye(len(n))) - sd**2 / 2 / DRAW_SD**2
    weight = np.exp(log_weight - log_weight.max()) * _spacing(DRAW_SDS)[np.searchsorted(DRAW_SDS, draw_sd)]
    kept = weight > NEGLIGIBLE * weight.max()
    weight = weight[kept] / weight[kept].sum()
    return Posterior(middle, level[kept], exponent[kept], draw_sd[kept], weight)


def misfit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> float:
    """Return the p-value of the power law: how often points that follow one miss their best fit by as much or more.

    Chi-squared with two parameters fitted, at the largest noise of the draw that is thought possible.
    """
    n, seen = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    middle = float(np.exp(np.log(n).mean()))
    level, exponent = (grid.ravel()[:, None] for grid in np.meshgrid(LEVELS, EXPONENTS, indexing="ij", copy=False))
    residuals = seen - np.minimum(1.0, level * (n / middle) ** -exponent)
    root = np.linalg.cholesky(covariance + DRAW_SDS[-1] ** 2 * np.eye(len(n)))
    least = float((np.linalg.solve(root, residuals.T) ** 2).sum(axis=0).min())
    return float(chdtrc(len(n) - 2, least))


def predict_next(
    posterior: Posterior, sizes: Sequence[int], errors: Sequence[float], covariance: Floats
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation, in every cell, of the error that will be *measured* at the last of `sizes`.

    `errors` are those of all sizes but the last, on which the posterior was fitted; `covariance` is (k, k). Since the
    same examples score every size, what was missed before is missed again: the conditional normal distribution.
    """
    n, seen = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    means, variances = np.empty(len(posterior.level)), np.empty(len(posterior.level))
    for sd in DRAW_SDS:
        cells = posterior.draw_sd == sd
        curve = np.minimum(
            1.0, posterior.level[cells, None] * (n / posterior.middle) ** -posterior.exponent[cells, None]
        )
        noise = covariance + sd**2 * np.eye(len(n))
        gain = np.linalg.solve(noise[:-1, :-1], noise[:-1, -1])
        means[cells] = curve[:, -1] + (seen - curve[:, :-1]) @ gain
        variances[cells] = max(float(noise[-1, -1] - noise[-1, :-1] @ gain), 0.0)
    return means, np.sqrt(variances)


def weighted_quantiles(values: Floats, weights: Floats, shares: Sequence[float]) -> Floats:
    """Return quantiles of weighted values: the least value with at least that share of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    positions = np.minimum(np.searchsorted(reached, np.asarray(shares) * reached[-1] - 1e-12), len(values) - 1)
    return np.asarray(values[order][positions], dtype=np.float64)


def _log_density(residuals: Floats, covariance: Floats) -> Floats:
    """Return the log density, up to a constant, of rows of residuals under a normal distribution."""
    root = np.linalg.cholesky(covariance)
    scaled = np.linalg.solve(root, residuals.T)
    return np.asarray(-0.5 * (scaled**2).sum(axis=0) - np.log(np.diag(root)).sum())


def _spacing(grid: Floats) -> Floats:
    """Return the width that each point of an uneven grid stands for."""
    edges = np.concatenate([[grid[0]], (grid[1:] + grid[:-1]) / 2, [grid[-1]]])
    return np.diff(edges)
