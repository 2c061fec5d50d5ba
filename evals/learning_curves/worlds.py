"""Simulate learning curves whose true continuation is known; see the README for the design.

Not covered: forecasting from them (`rules`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from llmtl.learning_curve import FEWEST_POINTS, CurvePoint, MeasuredCurve, subset_sizes

Floats = NDArray[np.float64]
KINDS = ("power", "floor", "saturation", "kink", "level")
AVAILABLE = (100, 5000)
LABELS = (2, 5, 10, 20)
PER_LABEL = 20
POINTS = 5
FIRST_ERROR = (0.3, 0.8)
EXPONENT, KINK_EXPONENT = (0.1, 0.6), (0.2, 0.8)
IRREDUCIBLE = (0.02, 0.25)
DRAW = (0.01, 0.05)
DEV = (100, 2000)
HARDNESS = 0.8
FURTHEST_TARGET = 16
LEVEL_TARGET = (0.01, 0.10)


@dataclass(frozen=True)
class World:
    """A curve with its truth: `error` at any size, the size that reaches `target` (infinite if none does)."""

    kind: str
    measured: MeasuredCurve
    error: Callable[[float], float]
    target: float
    needs: float

    @property
    def available(self) -> int:
        """The largest size measured, in training examples."""
        return self.measured.points[-1].size


def make_world(kind: str, rng: np.random.Generator) -> World:
    """Draw a random world of a kind."""
    sizes = _sizes(rng)
    error = _curve(kind, sizes, rng)
    measured = _measure(np.array([error(size) for size in sizes]), sizes, rng)
    if kind == "level":
        target = 1 - error(sizes[-1]) + rng.uniform(*LEVEL_TARGET)
        return World(kind, measured, error, target, needs=float("inf"))
    at = _log_uniform(sizes[-1], FURTHEST_TARGET * sizes[-1], rng)
    target = 1 - error(at)
    # a curve that has stopped falling in floating point reached its target earlier
    grid = np.geomspace(sizes[0], at, 2000)
    needs = next(float(size) for size in grid if 1 - error(size) >= target - 1e-9)
    return World(kind, measured, error, target, needs)


def _sizes(rng: np.random.Generator) -> tuple[int, ...]:
    while True:
        available = round(_log_uniform(*AVAILABLE, rng))
        labels = int(rng.choice([number for number in LABELS if PER_LABEL * number <= available]))
        sizes = subset_sizes(available, points=POINTS, labels=labels)
        if len(sizes) >= FEWEST_POINTS:
            return sizes


def _curve(kind: str, sizes: tuple[int, ...], rng: np.random.Generator) -> Callable[[float], float]:
    smallest, largest = sizes[0], sizes[-1]
    first, exponent = rng.uniform(*FIRST_ERROR), rng.uniform(*EXPONENT)
    least = rng.uniform(IRREDUCIBLE[0], min(IRREDUCIBLE[1], first - 0.1))
    scale = _log_uniform(largest / 4, 2 * largest, rng)
    start, steep = _log_uniform(smallest, 4 * largest, rng), rng.uniform(*KINK_EXPONENT)
    curves: dict[str, Callable[[float], float]] = {
        "power": lambda n: float(first * (n / smallest) ** -exponent),
        "floor": lambda n: float(least + (first - least) * (n / smallest) ** -exponent),
        "saturation": lambda n: float(least + (first - least) * np.exp(-(n - smallest) / scale)),
        "kink": lambda n: float(first * max(1.0, n / start) ** -steep),
        "level": lambda n: float(first),
    }
    return curves[kind]


def _measure(errors: Floats, sizes: tuple[int, ...], rng: np.random.Generator) -> MeasuredCurve:
    """Measure the true errors: with a draw of train and a sample of dev."""
    n = np.array(sizes, dtype=float)
    alike = np.sqrt(np.minimum.outer(n, n) / np.maximum.outer(n, n))
    drawn = errors * (1 + rng.uniform(*DRAW) * (np.linalg.cholesky(alike) @ rng.standard_normal(len(n))))
    examples = round(_log_uniform(*DEV, rng))
    hard = HARDNESS * rng.standard_normal(examples)
    rest = np.sqrt(1 - HARDNESS**2) * rng.standard_normal((len(n), examples))
    return of_wrong(sizes, hard + rest < ndtri(np.clip(drawn, 1e-9, 1 - 1e-9))[:, None], strategy="simulated")


def of_wrong(sizes: tuple[int, ...], wrong: NDArray[np.bool_], *, strategy: str) -> MeasuredCurve:
    """Make the curve from whether each dev example (columns) is wrong at each size (rows)."""
    examples = wrong.shape[1]
    scores = 1 - wrong.mean(axis=1)
    points = tuple(CurvePoint(size, float(score), (0.0, 1.0)) for size, score in zip(sizes, scores, strict=True))
    return MeasuredCurve(strategy, points, np.cov(wrong.astype(float)) / examples, examples)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
