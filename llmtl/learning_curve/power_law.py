"""The power law error = c + a n^-b as a posterior over its parameters: c is 0 or an unknown irreducible error.

Errors of language and vision models fall as a power of the number of training examples over the range between too few
examples and the irreducible error: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"
(https://arxiv.org/abs/1712.00409); Rosenfeld et al. 2020, "A Constructive Prediction of the Generalization Error Across
Scales" (https://arxiv.org/abs/1909.12673). Four or five points tell the two-parameter law (c = 0) rarely from one that
levels off, and both occur: Viering & Loog 2022, "The Shape of Learning Curves" (https://arxiv.org/abs/2103.10948). So
neither is chosen: they are averaged by how well each explains the points, as Domhan et al. 2015 do with eleven curve
families ("Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning
Curves", IJCAI). Mahmood et al. 2022, "How Much More Data Do I Need?" (https://arxiv.org/abs/2207.01725), found that
extrapolations from little data can be far off, and that labelling in rounds and asking again after each mends most of
it: hence the back-test, the limit of four times the data, and the advice to forecast again.

The posterior is worked out on a grid, so that it needs no sampler and repeats exactly. Not covered: curves that stand
still before they begin to rise, or that rise again after a rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Floats = NDArray[np.float64]

EXPONENTS = np.linspace(0.0, 1.0, 51)
"""The prior of b: uniform from 0 (no learning) to 1. Hestness et al. 2017 measured 0.07 to 0.35 where theory has 0.5 or
1."""
LEVELS = np.geomspace(0.001, 1.0, 240)
"""The prior of the error at the largest size: uniform in its logarithm."""
IRREDUCIBLE = np.concatenate([[0.0], np.linspace(0.05, 0.95, 10)])
"""c as a share of the error at the largest size. Its prior: 0, the two-parameter law, with probability 1/2, and
otherwise uniform from 0 to 1, since c lies anywhere below what was reached (our choice: even odds)."""
DRAW_SDS = np.array([0.0, 0.005, 0.01, 0.02, 0.03, 0.05])
DRAW_SD = 0.02
"""Another draw of train of the same size scores differently. The standard deviation of that is unknown; its prior is
half-normal with this scale (our choice: two points), on the grid above."""
LEAST_SHARE = 0.001
"""The lightest cells that together have less than this share of the weight are dropped."""
_FARTHEST_SDS = 6.0
"""Levels that miss the error of the largest size by more weigh nothing: their likelihood is below e^-18 of the best."""


@dataclass(frozen=True)
class Posterior:
    """Grid cells of the error at size `largest`, the exponent and the irreducible share of that error.

    `by_draw_sd` (cells, len(DRAW_SDS)) are the weights, which sum to 1.
    """

    largest: float
    level: Floats
    exponent: Floats
    irreducible: Floats
    by_draw_sd: Floats

    @property
    def weight(self) -> Floats:
        """Return the weight of each cell whatever the noise of the draw."""
        return np.asarray(self.by_draw_sd.sum(axis=1))

    def errors(self, size: float) -> Floats:
        """Return the error at a size in every cell, at most 1."""
        falling = (size / self.largest) ** -self.exponent
        return np.minimum(1.0, self.level * (self.irreducible + (1 - self.irreducible) * falling))

    def quantiles(self, size: float, shares: Sequence[float]) -> Floats:
        """Return quantiles of the error at a size."""
        return weighted_quantiles(self.errors(size), self.weight, shares)

    def sizes_for(self, error: float) -> Floats:
        """Return the size at which each cell's error falls to `error`; infinite where it never does."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            left = (error / self.level - self.irreducible) / (1 - self.irreducible)
            # an exponent of 0 never gets there, or was there from the start: the limits of a very small one
            found = self.largest * np.exp(-np.log(left) / np.maximum(self.exponent, 1e-12))
        return np.where(left > 0, found, np.inf)

    def drawn(self, count: int, rng: np.random.Generator) -> "Posterior":
        """Return `count` random cells of equal weight."""
        weight = self.weight
        cells = rng.choice(len(weight), size=count, p=weight / weight.sum())
        even = np.full((count, 1), 1 / count)
        return Posterior(self.largest, self.level[cells], self.exponent[cells], self.irreducible[cells], even)

    def without_irreducible(self) -> "Posterior":
        """Return what is left of the two-parameter law alone."""
        kept = self.irreducible == 0
        weight = self.by_draw_sd[kept] / self.by_draw_sd[kept].sum()
        return Posterior(self.largest, self.level[kept], self.exponent[kept], self.irreducible[kept], weight)


def fit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> Posterior:
    """Return the posterior given errors measured at rising sizes, whose sampling noise has the (k, k) `covariance`.

    The likelihood is normal. The covariance matters because all sizes are scored on the same examples: what they share
    moves all errors together and not their differences.
    """
    level, exponent, irreducible, residuals = _grid(sizes, errors, covariance)
    log_weight = np.stack(
        [
            _log_density(residuals, covariance + sd**2 * np.eye(len(residuals.T))) - sd**2 / 2 / DRAW_SD**2
            for sd in DRAW_SDS
        ],
        axis=1,
    )
    weight = np.exp(log_weight - log_weight.max()) * _spacing(DRAW_SDS)
    weight *= np.where(irreducible == 0, 1.0, 1 / (len(IRREDUCIBLE) - 1))[:, None]
    kept = _heaviest(weight.sum(axis=1))
    weight = weight[kept] / weight[kept].sum()
    return Posterior(float(sizes[-1]), level[kept], exponent[kept], irreducible[kept], weight)


def misfit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> float:
    """Return the p-value of the power law: how often points that follow one miss their best fit by as much or more.

    Chi-squared with three parameters fitted, at the largest noise of the draw that is thought possible.
    """
    *_, residuals = _grid(sizes, errors, covariance)
    root = np.linalg.cholesky(covariance + DRAW_SDS[-1] ** 2 * np.eye(len(sizes)))
    least = float((np.linalg.solve(root, residuals.T) ** 2).sum(axis=0).min())
    return float(chdtrc(len(sizes) - 3, least))


def predict_next(
    posterior: Posterior, sizes: Sequence[int], errors: Sequence[float], covariance: Floats
) -> tuple[Floats, Floats]:
    """Return mean (cells, draw SDs) and standard deviation (draw SDs) of the error *measured* at the last of `sizes`.

    `errors` are those of all sizes but the last, on which the posterior was fitted; `covariance` is (k, k). Since the
    same examples score every size, what was missed before is missed again: the conditional normal distribution.
    """
    seen = np.asarray(errors, dtype=np.float64)
    curve = np.stack([posterior.errors(size) for size in sizes], axis=1)
    means, variances = np.empty((len(curve), len(DRAW_SDS))), np.empty(len(DRAW_SDS))
    for column, sd in enumerate(DRAW_SDS):
        noise = covariance + sd**2 * np.eye(len(sizes))
        gain = np.linalg.solve(noise[:-1, :-1], noise[:-1, -1])
        means[:, column] = curve[:, -1] + (seen - curve[:, :-1]) @ gain
        variances[column] = max(float(noise[-1, -1] - noise[-1, :-1] @ gain), 0.0)
    return means, np.sqrt(variances)


def weighted_quantiles(values: Floats, weights: Floats, shares: Sequence[float]) -> Floats:
    """Return quantiles of weighted values: the least value with at least that share of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    positions = np.minimum(np.searchsorted(reached, np.asarray(shares) * reached[-1] - 1e-12), len(values) - 1)
    return np.asarray(values[order][positions], dtype=np.float64)


def _grid(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return levels, exponents and irreducible shares (cells,), and how they miss the errors (cells, k)."""
    n, seen = np.asarray(sizes, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    reach = _FARTHEST_SDS * np.sqrt(covariance[-1, -1] + DRAW_SDS[-1] ** 2)
    levels = LEVELS[np.abs(LEVELS - seen[-1]) <= reach]
    falling = (n / n[-1]) ** -EXPONENTS[:, None]
    shapes = IRREDUCIBLE[:, None, None] + (1 - IRREDUCIBLE[:, None, None]) * falling
    expected = np.minimum(1.0, levels[:, None, None, None] * shapes)
    level, irreducible, exponent = (
        grid.ravel() for grid in np.meshgrid(levels, IRREDUCIBLE, EXPONENTS, indexing="ij", copy=False)
    )
    return level, exponent, irreducible, (seen - expected).reshape(-1, len(n))


def _heaviest(weight: Floats) -> NDArray[np.intp]:
    """Return the positions of the heaviest cells, in order, without the lightest `LEAST_SHARE` of the weight."""
    order = np.argsort(weight)
    dropped = np.cumsum(weight[order]) < LEAST_SHARE * weight.sum()
    return np.sort(order[~dropped])


def _log_density(residuals: Floats, covariance: Floats) -> Floats:
    """Return the log density, up to a constant, of rows of residuals under a normal distribution."""
    root = np.linalg.cholesky(covariance)
    scaled = residuals @ np.linalg.inv(root).T  # k by k: many times faster than solving for every row
    return np.asarray(-0.5 * (scaled**2).sum(axis=1) - np.log(np.diag(root)).sum())


def _spacing(grid: Floats) -> Floats:
    """Return the width that each point of an uneven grid stands for."""
    edges = np.concatenate([[grid[0]], (grid[1:] + grid[:-1]) / 2, [grid[-1]]])
    return np.diff(edges)
