"""Intervals around a score.

Not covered: metrics without a closed form, like macro-F1 (`summed`).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from llmtl.errors import DataError

Z_TWO_SIDED = float(ndtri(0.975))
"""Standard normal quantile of a two-sided 95% interval."""
Z_ONE_SIDED = float(ndtri(0.95))
"""Standard normal quantile of a one-sided 95% bound."""


@dataclass(frozen=True)
class Interval:
    """A point estimate and the ends of its 95% confidence interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, n: int, *, z: float = Z_TWO_SIDED) -> Interval:
    """Compute a proportion's Wilson score interval, which keeps its level near 0 and 1 and for small n.

    Wilson (1927), recommended by Brown, Cai & DasGupta (2001), "Interval Estimation for a Binomial Proportion".
    Raises `DataError` for n < 1 or successes outside 0..n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"An interval needs at least one example and 0 to n successes, got {successes} of {n}.")
    share = successes / n
    return Interval(share, *wilson_ends(share, n, z=z))


def wilson_ends(share: float, n: float, *, z: float) -> tuple[float, float]:
    """Compute the ends of Wilson's interval of a share of n trials, which may be an effective number."""
    shrunk = n + z * z
    centre = (n * share + z * z / 2) / shrunk
    half = z / shrunk * math.sqrt(n * share * (1 - share) + z * z / 4)
    return (
        0.0 if share <= 0 else max(0.0, centre - half),
        1.0 if share >= 1 else min(1.0, centre + half),
    )


def f1_interval(right: int, expected: int, given: int) -> Interval:
    """Compute F1 of one label with the Wilson interval of F* = right / (expected + given - right), turned into F1.

    F1 is 2 F* / (1 + F*) (Hand, Christen & Kirielle 2021, "F*: an interpretable transformation of the F-measure"), and
    F* is a share of items: the "Wilson indirect" method of Lam, Gopal & Qian (2023), "Confidence Intervals for the F1
    Score: A Comparison of Four Methods" (https://arxiv.org/abs/2309.14621). Raises `DataError` where nothing was
    expected and nothing given.
    """
    found = wilson(right, expected + given - right)
    return Interval(*(2 * share / (1 + share) for share in (found.value, found.low, found.high)))


def tango(only_a: int, only_b: int, n: int, *, z: float = Z_TWO_SIDED) -> Interval:
    """Compute the paired difference of two proportions with Tango's score interval.

    `only_a` and `only_b` count the discordant pairs: right by one of the two alone. The ends are the differences that
    the score test of Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", just does not reject: at a difference of 0 that test is McNemar's without correction, and
    without discordant pairs the interval is +-z^2 / (n + z^2) and not empty. Fagerland, Lydersen & Laake (2014),
    "Recommended tests and confidence intervals for paired binomial proportions", recommend it. Raises `DataError` for
    impossible counts.
    """
    if n < 1 or min(only_a, only_b) < 0 or only_a + only_b > n:
        raise DataError(f"A paired interval needs 0 to n discordant pairs, got {only_a} and {only_b} of {n}.")
    value = (only_a - only_b) / n
    return Interval(value, -_upper(only_b, only_a, n=n, z=z), _upper(only_a, only_b, n=n, z=z))


def _upper(only_a: int, only_b: int, *, n: int, z: float) -> float:
    """Find the largest difference a - b that the score test does not reject."""
    if only_a == n:
        return 1.0
    # scipy.optimize is slow to import, and most of llmtl never asks for a paired interval
    from scipy.optimize import brentq

    start = max((only_a - only_b) / n, -1 + 1e-9)
    return float(brentq(lambda d: _tango_score(d, only_a, only_b, n=n) + z, start, 1 - 1e-12, xtol=1e-12))


def tango_scores(
    difference: float, only_a: NDArray[np.int64], only_b: NDArray[np.int64], *, n: int
) -> NDArray[np.float64]:
    """Compute Tango's score statistic of one `difference` for many counts of discordant pairs of n examples."""
    b = -only_a - only_b + (2 * n - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    share = (np.sqrt(np.maximum(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return np.asarray((only_a - only_b - n * difference) / np.sqrt(np.maximum(variance, 1e-300)))


def _tango_score(difference: float, only_a: int, only_b: int, *, n: int) -> float:
    """Compute the same for one count, a hundred times as fast."""
    b = -only_a - only_b + (2 * n - only_a + only_b) * difference
    c = -only_b * difference * (1 - difference)
    # the larger root of 2n q^2 + b q + c: the maximum-likelihood share of `only_b` pairs given the difference
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + difference * (1 - difference))
    return (only_a - only_b - n * difference) / math.sqrt(max(variance, 1e-300))
