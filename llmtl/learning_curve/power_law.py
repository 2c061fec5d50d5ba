"""Fit the power law error = c + a n^-b as a posterior over its parameters: c is 0 or an unknown irreducible error.

Beside it the exponential law error = c + a e^(-n/t).

Errors of language and vision models fall as a power of the number of training examples over the range between too few
examples and the irreducible error: Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically"
(https://arxiv.org/abs/1712.00409); Rosenfeld et al. 2020, "A Constructive Prediction of the Generalization Error Across
Scales" (https://arxiv.org/abs/1909.12673). Four or five points rarely tell the two-parameter law (c = 0) from one that
levels off, and both occur: Viering & Loog 2022, "The Shape of Learning Curves" (https://arxiv.org/abs/2103.10948). So
neither is chosen: they are averaged by how well each explains the points, as Domhan et al. 2015 do with eleven curve
families ("Speeding up Automatic Hyperparameter Optimization of Deep Neural Networks by Extrapolation of Learning
Curves", IJCAI). The exponential law is the third: learning is exponentially fast where it is not of the order 1/n or
slower (Bousquet et al. 2021, "A Theory of Universal Learning", https://arxiv.org/abs/2011.04483).

Mahmood et al. 2022, "How Much More Data Do I Need?" (https://arxiv.org/abs/2207.01725), found that extrapolations from
little data can be far off, and that labelling in rounds and asking again after each fixes most of it: hence the
back-test, the limit of four times the data, and the advice to forecast again.

The posterior is worked out on a grid, so that it needs no sampler and repeats exactly. Not covered: what will be
measured (`measuring`); curves that stand still before they begin to rise, or that rise again after a rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

Floats = NDArray[np.float64]

FURTHEST = 4
"""Forecasts end at this many times the data: beyond that the fits of Mahmood et al. 2022 become unreliable."""
EXPONENTS = np.linspace(0.0, 1.0, 51)
"""The prior of b: uniform from 0 (no learning) to 1. Hestness et al. 2017 measured 0.07 to 0.35 where theory has 0.5 or
1."""
TIMESCALES = 40
"""The prior of t: uniform in its logarithm on this many points, from the smallest size (faster, nothing is left to be
measured) to the furthest forecast (slower, nothing has bent until there)."""
LEVELS = np.geomspace(0.001, 1.0, 240)
"""The prior of the error at the largest size: uniform in its logarithm."""
IRREDUCIBLE = np.concatenate([[0.0], np.linspace(0.05, 0.95, 10)])
"""c as a share of the error at the largest size: 0 (the two-parameter law), or uniform from 0 to 1, since c lies
anywhere below what was reached. The two-parameter law, the one with c and the exponential one are equally likely."""
FINE_IRREDUCIBLE = np.linspace(0.025, 0.975, 20)
"""The same for the exponential law, which stands still at c within the forecast: a coarse grid would show there."""
DRAW_SDS = np.array([0.0, 0.005, 0.01, 0.02, 0.03, 0.05])
DRAW_SD = 0.02
"""Another draw of train of the same size scores differently. The standard deviation of this is unknown; its prior is
half-normal with this scale (our choice: two points), on the grid above."""
LEAST_SHARE = 0.001
"""The lightest cells of a law that together have less than this share of its weight are dropped."""
_FARTHEST_SDS = 6.0
"""Levels that miss the error of the largest size by more get no weight: their likelihood is below e^-18 of the best."""


@dataclass(frozen=True)
class Posterior:
    """Grid cells: the error at size `largest`, the exponent or the timescale, and the irreducible share of that error.

    Power laws have an infinite timescale, exponential ones the exponent 0. `by_draw_sd` (cells, len(DRAW_SDS)) are the
    weights, which sum to 1.
    """

    largest: float
    level: Floats
    exponent: Floats
    timescale: Floats
    irreducible: Floats
    by_draw_sd: Floats

    @property
    def weight(self) -> Floats:
        """The weight of each cell, summed over the noise of the draw."""
        return np.asarray(self.by_draw_sd.sum(axis=1))

    def errors(self, size: float) -> Floats:
        """Compute the error at a size in every cell, at most 1."""
        falling = (size / self.largest) ** -self.exponent * np.exp((self.largest - size) / self.timescale)
        return np.asarray(np.minimum(1.0, self.level * (self.irreducible + (1 - self.irreducible) * falling)))

    def quantiles(self, size: float, shares: Sequence[float]) -> Floats:
        """Compute quantiles of the error at a size."""
        return weighted_quantiles(self.errors(size), self.weight, shares)

    def sizes_for(self, error: float) -> Floats:
        """Solve for the size at which each cell's error falls to `error`; infinite where it never does."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            left = (error / self.level - self.irreducible) / (1 - self.irreducible)
            left = np.log(left)
            # an exponent of 0 never gets there or was there from the start: the limits of a very small exponent
            power = self.largest * np.exp(-left / np.maximum(self.exponent, 1e-12))
            exponential = np.maximum(self.largest - left * self.timescale, 0.0)
        found = np.where(np.isinf(self.timescale), power, exponential)
        return np.where(np.isnan(left), np.inf, found)

    def drawn(self, count: int, rng: np.random.Generator) -> "Posterior":
        """Draw `count` random cells of equal weight."""
        weight = self.weight
        cells = rng.choice(len(weight), size=count, p=weight / weight.sum())
        return self._kept(cells, np.full((count, 1), 1 / count))

    def power_laws(self) -> "Posterior":
        """Keep only the power laws, with and without an irreducible error."""
        return self._where(np.isinf(self.timescale))

    def without_irreducible(self) -> "Posterior":
        """Keep only the two-parameter law."""
        return self._where(np.isinf(self.timescale) & (self.irreducible == 0))

    def _where(self, kept: NDArray[np.bool_]) -> "Posterior":
        return self._kept(np.flatnonzero(kept), self.by_draw_sd[kept] / self.by_draw_sd[kept].sum())

    def _kept(self, cells: NDArray[np.intp], weight: Floats) -> "Posterior":
        return Posterior(
            self.largest,
            level=self.level[cells],
            exponent=self.exponent[cells],
            timescale=self.timescale[cells],
            irreducible=self.irreducible[cells],
            by_draw_sd=weight,
        )


def fit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> Posterior:
    """Compute the posterior given errors at k rising sizes, whose sampling noise has the (k, k) `covariance`.

    The likelihood is normal. The covariance matters because all sizes are scored on the same examples: the noise
    that they share moves all errors together, not their differences.
    """
    shapes, law = _laws(sizes)
    levels, residuals = _residuals(shapes, errors, covariance)
    log_weight = _log_densities(residuals, covariance)
    even = 1 / np.bincount(law)[law]
    weight = np.exp(log_weight - log_weight.max()) * draw_prior() * np.tile(even, len(levels))[:, None]
    kept = _heaviest(weight.sum(axis=1), np.tile(law, len(levels)))
    level, shape = np.divmod(kept, len(law))
    return Posterior(
        largest=float(sizes[-1]),
        level=levels[level],
        exponent=shapes.exponent[shape],
        timescale=shapes.timescale[shape],
        irreducible=shapes.irreducible[shape],
        by_draw_sd=weight[kept] / weight[kept].sum(),
    )


def draw_prior() -> Floats:
    """Compute the prior weight of each of `DRAW_SDS`; they sum to 1."""
    weight = np.exp(-(DRAW_SDS**2) / 2 / DRAW_SD**2) * _spacing(DRAW_SDS)
    return np.asarray(weight / weight.sum())


def misfit(sizes: Sequence[int], errors: Sequence[float], covariance: Floats) -> float:
    """Compute the p-value of the power law: how often points that follow one miss their best fit by as much or more.

    Chi-squared with three parameters fitted, at the largest noise of the draw that the prior allows.
    """
    _, residuals = _residuals(_power_laws(sizes, IRREDUCIBLE), errors, covariance)
    root = np.linalg.cholesky(covariance + DRAW_SDS[-1] ** 2 * np.eye(len(sizes)))
    least = float((np.linalg.solve(root, residuals.T) ** 2).sum(axis=0).min())
    return float(chdtrc(len(sizes) - 3, least))


def predict_next(
    posterior: Posterior, sizes: Sequence[int], errors: Sequence[float], covariance: Floats
) -> tuple[Floats, Floats]:
    """Predict the error *measured* at the last of `sizes`: mean (cells, draw SDs) and standard deviation (draw SDs).

    `errors` are those of all sizes but the last, on which the posterior was fitted; `covariance` is (k, k). Since the
    same examples score every size, earlier misses come again: this is the conditional normal distribution.
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
    """Compute weighted quantiles: the smallest value with at least that share of the weight at or below it."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    positions = np.minimum(np.searchsorted(reached, np.asarray(shares) * reached[-1] - 1e-12), len(values) - 1)
    return np.asarray(values[order][positions], dtype=np.float64)


@dataclass(frozen=True)
class _Shapes:
    """Laws whose error at the largest size is 1: their parameters (laws,) and errors (laws, k)."""

    exponent: Floats
    timescale: Floats
    irreducible: Floats
    errors: Floats


def _laws(sizes: Sequence[int]) -> tuple[_Shapes, NDArray[np.intp]]:
    """List the shapes of all three laws, and the law that each belongs to."""
    laws = (_power_laws(sizes, IRREDUCIBLE[:1]), _power_laws(sizes, IRREDUCIBLE[1:]), _exponential_laws(sizes))
    shapes = _Shapes(
        exponent=np.concatenate([law.exponent for law in laws]),
        timescale=np.concatenate([law.timescale for law in laws]),
        irreducible=np.concatenate([law.irreducible for law in laws]),
        errors=np.concatenate([law.errors for law in laws]),
    )
    return shapes, np.repeat(np.arange(len(laws)), [len(law.exponent) for law in laws])


def _power_laws(sizes: Sequence[int], irreducible: Floats) -> _Shapes:
    n = np.asarray(sizes, dtype=np.float64)
    floor, exponent = (grid.ravel() for grid in np.meshgrid(irreducible, EXPONENTS, indexing="ij"))
    falling = (n / n[-1]) ** -exponent[:, None]
    return _Shapes(exponent, np.full_like(exponent, np.inf), floor, floor[:, None] + (1 - floor[:, None]) * falling)


def _exponential_laws(sizes: Sequence[int]) -> _Shapes:
    n = np.asarray(sizes, dtype=np.float64)
    timescales = np.geomspace(n[0], FURTHEST * n[-1], TIMESCALES)
    floor, timescale = (grid.ravel() for grid in np.meshgrid(FINE_IRREDUCIBLE, timescales, indexing="ij"))
    falling = np.exp((n[-1] - n) / timescale[:, None])
    return _Shapes(np.zeros_like(floor), timescale, floor, floor[:, None] + (1 - floor[:, None]) * falling)


def _residuals(shapes: _Shapes, errors: Sequence[float], covariance: Floats) -> tuple[Floats, Floats]:
    """Find the levels that the largest size allows, and by how much laws miss the errors: (levels times laws, k)."""
    seen = np.asarray(errors, dtype=np.float64)
    reach = _FARTHEST_SDS * np.sqrt(covariance[-1, -1] + DRAW_SDS[-1] ** 2)
    levels = LEVELS[np.abs(LEVELS - seen[-1]) <= reach]
    expected = np.minimum(1.0, levels[:, None, None] * shapes.errors)
    return levels, (seen - expected).reshape(-1, len(seen))


def _heaviest(weight: Floats, law: NDArray[np.intp]) -> NDArray[np.intp]:
    """Find the positions of each law's heaviest cells, in order, without its lightest `LEAST_SHARE`.

    This is done per law, since the power laws are also used alone, however small their weight.
    """
    kept = np.ones(len(weight), dtype=np.bool_)
    for each in np.unique(law):
        cells = np.flatnonzero(law == each)
        order = cells[np.argsort(weight[cells])]
        kept[order[np.cumsum(weight[order]) < LEAST_SHARE * weight[order].sum()]] = False
    return np.flatnonzero(kept)


def _log_densities(residuals: Floats, covariance: Floats) -> Floats:
    """Compute log densities of residuals (cells, k) for each noise of the draw, up to a constant: (cells, draw SDs).

    The covariances differ by multiples of the identity, so they have the same eigenvectors.
    """
    variances, axes = np.linalg.eigh(covariance)
    total = variances[:, None] + DRAW_SDS**2
    return np.asarray(-0.5 * ((residuals @ axes) ** 2 @ (1 / total) + np.log(total).sum(axis=0)))


def _spacing(grid: Floats) -> Floats:
    """Compute the width that each point of an uneven grid stands for."""
    edges = np.concatenate([[grid[0]], (grid[1:] + grid[:-1]) / 2, [grid[-1]]])
    return np.diff(edges)
