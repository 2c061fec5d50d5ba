"""Forecast one strategy's learning curve: the fit, its back-test, and a band, or the reason why there is none.

Not covered: that scores on dev, on which strategies are tuned, are a little optimistic at every size.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from llmtl.learning_curve.measuring import Sampling, gain_quantiles, reached, score_quantiles
from llmtl.learning_curve.power_law import (
    DRAW_SD,
    DRAW_SDS,
    FURTHEST,
    Floats,
    Posterior,
    draw_prior,
    fit,
    misfit,
    predict_next,
    weighted_quantiles,
)

FEWEST_POINTS = 4
"""Two parameters need two points, a residual or the irreducible error a third, and the back-test one more."""
FLAT_P_VALUE = 0.05
"""If the p-value of no rise is at least this, the curve is called flat."""
LEAST_P_VALUE = 0.01
"""Below this p-value of the fit there is no forecast."""
BAND = (0.1, 0.5, 0.9)
"""The quantiles of a band of 80% and its middle."""
_BAND_SIZES = 33
_NEEDED_SIZES = 129
_TWO_SIDED_95 = 1.960


@dataclass(frozen=True)
class CurvePoint:
    """A score measured with `size` training examples, and its 95% interval."""

    size: int
    score: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class MeasuredCurve:
    """The points of one strategy by rising size; `covariance` (k, k) is the sampling noise of their scores.

    `examples` is the number of examples that every size was scored on.
    """

    strategy: str
    points: tuple[CurvePoint, ...]
    covariance: Floats
    examples: int

    @property
    def sizes(self) -> list[int]:
        """Training examples at each point, rising."""
        return [point.size for point in self.points]

    @property
    def errors(self) -> list[float]:
        """1 minus the score at each point."""
        return [1.0 - point.score for point in self.points]

    @property
    def sampling(self) -> Sampling:
        """The sampling variance of the score at the largest size."""
        return Sampling(float(self.covariance[-1, -1]), self.errors[-1], self.examples)

    @property
    def noise(self) -> Floats:
        """The covariance, but no less than half an example makes: a score is not known better than that."""
        return np.asarray(self.covariance + (0.5 / self.examples) ** 2 * np.eye(len(self.points)))


@dataclass(frozen=True)
class Band:
    """A score as it will be measured, or a true gain in score, at a size of train: its median and its 80% interval."""

    size: int
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class BackTest:
    """The largest size as the smaller ones predict it: the 95% interval of the measurement, and the measurement."""

    size: int
    low: float
    high: float
    measured: float

    @property
    def passed(self) -> bool:
        """Whether the measurement lies in the interval."""
        return self.low <= self.measured <= self.high


@dataclass(frozen=True)
class Needed:
    """How many training examples a target needs: 80% interval, and the probability that it takes more than `furthest`.

    Ends beyond `furthest` are None.
    """

    target: float
    low: int | None
    high: int | None
    beyond: float


@dataclass(frozen=True)
class Forecast:
    """The curve of one strategy.

    `refusal` says why there is no forecast; then `band`, `doubling` and `needed` are empty. `band` runs from the
    smallest size to `furthest`, four times the data. `doubling` is the gain in score from twice the data. `needed` is
    also empty without a target, and if the largest size already reaches it. `flat`: the reason for the
    refusal is that scores do not rise; such a strategy can still be overtaken.
    """

    strategy: str
    points: tuple[CurvePoint, ...]
    refusal: str | None
    furthest: int
    back_test: BackTest | None = None
    exponent: Band | None = None
    band: tuple[Band, ...] = ()
    doubling: Band | None = None
    flat: bool = False
    needed: Needed | None = None


def forecast(measured: MeasuredCurve, *, target: float | None = None) -> Forecast:
    """Forecast a strategy's score, or refuse to."""
    points = measured.points
    furthest = FURTHEST * points[-1].size if points else 0
    refusal = _cannot(measured)
    flat = None if refusal else _flat(measured)
    if refusal or flat:
        return Forecast(measured.strategy, points, refusal or flat, furthest, flat=bool(flat))
    back_test = _back_test(measured)
    if not back_test.passed:
        return Forecast(measured.strategy, points, _missed(back_test), furthest, back_test)
    if misfit(measured.sizes, measured.errors, measured.noise) < LEAST_P_VALUE:
        reason = "the points follow no power law: they miss the nearest one by more than chance explains"
        return Forecast(measured.strategy, points, reason, furthest, back_test)
    posterior = fit(measured.sizes, measured.errors, measured.noise)
    return Forecast(
        strategy=measured.strategy,
        points=points,
        refusal=None,
        furthest=furthest,
        back_test=back_test,
        exponent=_exponent(posterior.power_laws(), points[-1].size),
        band=_band(posterior, points[0].size, furthest, measured.sampling),
        doubling=_gain(posterior, 2 * points[-1].size),
        needed=_needed(posterior, target, points=points, furthest=furthest),
    )


def _cannot(measured: MeasuredCurve) -> str | None:
    """Say why these points allow no forecast, whatever is fitted; None if they do."""
    points = measured.points
    if len(points) < FEWEST_POINTS:
        sizes = "size was" if len(points) == 1 else "sizes were"
        return f"only {len(points)} {sizes} measured, and {FEWEST_POINTS} are needed"
    if points[-1].score >= 1.0:
        return f"no error is left on the {measured.examples} dev examples"
    noise = measured.noise
    for before in range(len(points) - 1):
        drop = points[before].score - points[before + 1].score
        if drop > _TWO_SIDED_95 * np.sqrt(_variance_of_gain(noise, before, before + 1) + 2 * DRAW_SD**2):
            return (
                f"the score falls from {points[before].score:.3f} with {points[before].size:,} examples to "
                f"{points[before + 1].score:.3f} with {points[before + 1].size:,}, more than chance explains"
            )
    return None


def _flat(measured: MeasuredCurve) -> str | None:
    """Say that the score does not rise by more than chance, one-sided at 5%; None if it does.

    Chance is the sample of dev and the draw of both parts of train, whose noise has the prior of the fit.
    """
    points = measured.points
    gain = points[-1].score - points[0].score
    spread = np.sqrt(_variance_of_gain(measured.noise, 0, len(points) - 1) + 2 * DRAW_SDS**2)
    if float((draw_prior() * ndtr(-gain / spread)).sum()) >= FLAT_P_VALUE:
        return (
            f"the curve is flat: {points[0].score:.3f} with {points[0].size:,} examples and {points[-1].score:.3f} "
            f"with {points[-1].size:,} differ by no more than chance explains"
        )
    return None


def _variance_of_gain(noise: Floats, first: int, second: int) -> float:
    return max(float(noise[first, first] + noise[second, second] - 2 * noise[first, second]), 0.0)


def _back_test(measured: MeasuredCurve) -> BackTest:
    """Compare the largest size with what the others predict."""
    sizes, errors, noise = measured.sizes, measured.errors, measured.noise
    posterior = fit(sizes[:-1], errors[:-1], noise[:-1, :-1]).power_laws()
    means, sds = predict_next(posterior, sizes, errors[:-1], noise)
    low, high = (_mixture_quantile(means, sds, posterior.by_draw_sd, share) for share in (0.025, 0.975))
    return BackTest(sizes[-1], low=max(0.0, 1 - high), high=min(1.0, 1 - low), measured=float(1 - errors[-1]))


def _mixture_quantile(means: Floats, sds: Floats, weights: Floats, share: float) -> float:
    """Compute a quantile of a mixture of normal distributions, by bisection to 1e-4."""
    low, high = float((means - 8 * sds).min()), float((means + 8 * sds).max())
    while high - low > 1e-4:
        middle = (low + high) / 2
        if float((weights * ndtr((middle - means) / sds)).sum()) < share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _missed(back_test: BackTest) -> str:
    return (
        f"the back-test fails: the smaller sizes predict {back_test.low:.3f} to {back_test.high:.3f} with "
        f"{back_test.size:,} examples, and {back_test.measured:.3f} was measured"
    )


def _exponent(posterior: Posterior, size: int) -> Band:
    low, median, high = (float(value) for value in weighted_quantiles(posterior.exponent, posterior.weight, BAND))
    return Band(size, median=median, low=low, high=high)


def _band(posterior: Posterior, smallest: int, furthest: int, sampling: Sampling) -> tuple[Band, ...]:
    """Foretell what will be measured: of a score on as many dev examples, after another draw of train."""
    sizes = sorted({round(size) for size in np.geomspace(smallest, furthest, _BAND_SIZES)})
    return tuple(_of(size, score_quantiles(posterior, size, BAND, sampling)) for size in sizes)


def _gain(posterior: Posterior, larger: int) -> Band:
    return _of(larger, gain_quantiles(posterior, larger, BAND))


def _of(size: int, quantiles: Floats) -> Band:
    low, median, high = (float(value) for value in quantiles)
    return Band(size, median=median, low=low, high=high)


def _needed(
    posterior: Posterior, target: float | None, *, points: tuple[CurvePoint, ...], furthest: int
) -> Needed | None:
    """Find where the true score reaches the target with probabilities of 10% and 90%."""
    if target is None or points[-1].score >= target:
        return None
    sizes = np.geomspace(points[0].size, furthest, _NEEDED_SIZES)
    # once reached, always reached: a walk that departs from the law may fall back, and that is no need of labels
    chances = np.maximum.accumulate([reached(posterior, size, 1 - target) for size in sizes])
    return Needed(
        target,
        low=_first(sizes, chances, BAND[0]),
        high=_first(sizes, chances, BAND[-1]),
        beyond=1 - float(chances[-1]),
    )


def _first(sizes: Floats, chances: Floats, share: float) -> int | None:
    """Find the smallest size with at least that chance, between two sizes by their logarithm; None if there is none."""
    if chances[-1] < share:
        return None
    return round(float(np.exp(np.interp(share, chances, np.log(sizes)))))
