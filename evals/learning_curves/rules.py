"""Forecast with llmtl and with the naive rules from the same measured curve. Not covered: judging it (`summary`)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress, t

from llmtl.learning_curve import Forecast, MeasuredCurve
from llmtl.learning_curve.forecast import BAND
from llmtl.learning_curve.power_law import FURTHEST, fit, weighted_quantiles

FACTORS = (2, FURTHEST)
LLMTL, POWER_LAW, LOG_LINEAR, LAST_SCORE = "llmtl", "power law alone", "log-linear", "last score"
NEVER = float("inf")


@dataclass(frozen=True)
class Foretold:
    """Scores at multiples of the data, as (low, point, high); low and high are None if a rule has no band.

    `needed` is the range of labels that the target needs, None if there is no target.
    """

    at: Mapping[int, tuple[float | None, float, float | None]]
    needed: tuple[float, float] | None


def llmtl(found: Forecast) -> Foretold:
    """Read the forecast, interpolated between its sizes over their logarithm."""
    available = found.points[-1].size
    sizes = np.log([band.size for band in found.band])

    def between(name: str, factor: int) -> float:
        return float(np.interp(np.log(factor * available), sizes, [getattr(band, name) for band in found.band]))

    needed = found.needed
    ends = needed and (needed.low or found.furthest, needed.high or NEVER)
    return Foretold(
        {factor: (between("low", factor), between("median", factor), between("high", factor)) for factor in FACTORS},
        ends,
    )


def power_law_alone(measured: MeasuredCurve, target: float) -> Foretold:
    """Forecast with the two-parameter law alone."""
    posterior = fit(measured.sizes, measured.errors, measured.noise).without_irreducible()
    available = measured.points[-1].size
    at = {}
    for factor in FACTORS:
        high, middle, low = (1 - float(error) for error in posterior.quantiles(factor * available, BAND))
        at[factor] = (low, middle, high)
    if measured.points[-1].score >= target:
        return Foretold(at, None)
    low, high = weighted_quantiles(posterior.sizes_for(1 - target), posterior.weight, (BAND[0], BAND[-1]))
    furthest = FURTHEST * available
    return Foretold(at, (min(float(low), furthest), float(high) if high <= furthest else NEVER))


def log_linear(measured: MeasuredCurve, target: float) -> Foretold:
    """Forecast by least squares of score on log n, with the 80% prediction interval of ordinary regression."""
    x, y = np.log(measured.sizes), 1 - np.array(measured.errors)
    line = linregress(x, y)
    free = len(x) - 2
    spread = np.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / free)
    width = float(t.ppf(BAND[-1], free))

    def band(size: float) -> tuple[float, float, float]:
        point = line.intercept + line.slope * np.log(size)
        far = (np.log(size) - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        half = width * spread * np.sqrt(1 + 1 / len(x) + far)
        low, middle, high = np.clip([point - half, point, point + half], 0.0, 1.0)
        return float(low), float(middle), float(high)

    available = measured.points[-1].size
    at = {factor: band(factor * available) for factor in FACTORS}
    if y[-1] >= target:
        return Foretold(at, None)
    sizes = np.geomspace(measured.points[0].size, FURTHEST * available, 400)
    low = next((float(size) for size in sizes if band(size)[2] >= target), float(FURTHEST * available))
    high = next((float(size) for size in sizes if band(size)[0] >= target), NEVER)
    return Foretold(at, (low, high))


def last_score(measured: MeasuredCurve, target: float) -> Foretold:
    """Forecast that the score stays as it is: a target above it needs more than the furthest forecast."""
    last = measured.points[-1]
    reached = last.score >= target
    return Foretold(
        dict.fromkeys(FACTORS, (None, last.score, None)), None if reached else (FURTHEST * last.size, NEVER)
    )


def naive(measured: MeasuredCurve, target: float) -> dict[str, Foretold]:
    """Forecast with every rule other than llmtl."""
    rules = {POWER_LAW: power_law_alone, LOG_LINEAR: log_linear, LAST_SCORE: last_score}
    return {name: rule(measured, target) for name, rule in rules.items()}
