"""Compute what a paired test on n examples can find, and how many examples it takes to settle a difference.

Written for the exact McNemar test of accuracies; `scaled_examples` is the normal approximation for other metrics. A
difference is score(a) - score(b) and the discordance the share of examples that one of the two alone gets right; the
discordance is never below the difference. Power counts rejections in the right direction only.

Not covered: power after Holm's correction, which depends on the other comparisons; callers divide alpha by the number
of comparisons, the worst case.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln, ndtri, xlog1py, xlogy

from llmtl.metrics.intervals import Z_ONE_SIDED

Integers = NDArray[np.int64]

POWER = 0.8
"""The customary power; Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", section 2.4."""
MOST_EXAMPLES = 100_000
"""Beyond this many test examples in all, "label more" is not useful advice."""
_Z_POWER = float(ndtri(POWER))


def mcnemar_power(n: int, *, difference: float, discordance: float, alpha: float = 0.05) -> float:
    """Compute the probability that the two-sided exact McNemar test on n examples shows `difference` > 0.

    The number of discordant pairs is binomial(n, discordance) and, given it, those won by the better strategy are
    binomial with (discordance + difference) / (2 discordance); this sums over the former as in Connor (1987), "Sample
    size for testing differences in proportions for the paired-sample design", without his normal approximation.
    """
    discordance = min(1.0, max(discordance, difference))
    if n < 1 or discordance <= 0:
        return 0.0
    spread = 10 * math.sqrt(n * discordance * (1 - discordance)) + 10
    pairs = np.arange(max(0, int(n * discordance - spread)), min(n, int(n * discordance + spread)) + 1)
    log_chance = (
        gammaln(n + 1) - gammaln(pairs + 1) - gammaln(n - pairs + 1)
        + xlogy(pairs, discordance) + xlog1py(n - pairs, -discordance)
    )  # fmt: skip
    most_lost = _critical(pairs, alpha)
    lost = (discordance - difference) / (2 * discordance)
    rejects = np.where(most_lost >= 0, bdtr(np.maximum(most_lost, 0), pairs, lost), 0.0)
    return float(min(1.0, np.exp(log_chance) @ rejects))


def minimum_detectable_difference(n: int, *, discordance: float, alpha: float = 0.05) -> float:
    """Find the smallest true difference that the exact McNemar test on n examples shows with 80% power.

    Where the discordance is too small for any difference to be shown, it grows with the difference. The value is 1.0
    when n is too small to show anything (below 6 at alpha 0.05).
    """
    low, high = 0.0, 1.0
    if mcnemar_power(n, difference=1.0, discordance=1.0, alpha=alpha) < POWER:
        return 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        enough = mcnemar_power(n, difference=middle, discordance=discordance, alpha=alpha) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def required_examples(*, difference: float, discordance: float, alpha: float = 0.05) -> int | None:
    """Find how many examples the exact McNemar test needs to show a true `difference` with 80% power.

    An exact search: power rises with n except for a fine saw-tooth, which the bisection ignores. None when the
    difference is not positive or more than `MOST_EXAMPLES` are needed.
    """
    if difference <= 0:
        return None

    def enough(n: int) -> bool:
        return mcnemar_power(n, difference=difference, discordance=discordance, alpha=alpha) >= POWER

    low, high = 0, 8
    while not enough(high):
        low, high = high, 2 * high
        if low > MOST_EXAMPLES:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high if high <= MOST_EXAMPLES else None


def required_to_rule_out(*, difference: float, discordance: float, margin: float) -> int | None:
    """Compute how many examples show, with a one-sided 95% bound and 80% power, that a difference is below `margin`.

    Normal approximation of the paired non-inferiority test: (z_0.95 + z_0.8)^2 (discordance - difference^2) / (margin -
    difference)^2, Lu & Bean (1995), "On the sample size for one-sided equivalence of sensitivities based upon McNemar's
    test"; but no fewer than Tango's bound needs without any discordant pair, z^2 (1 - margin) / margin. None when the
    difference is not below the margin or more than `MOST_EXAMPLES` are needed.
    """
    if difference >= margin or margin <= 0:
        return None
    variance = max(0.0, max(discordance, abs(difference)) - difference**2)
    needed = max(
        (Z_ONE_SIDED + _Z_POWER) ** 2 * variance / (margin - difference) ** 2,
        Z_ONE_SIDED**2 * (1 - margin) / margin,
    )
    return math.ceil(needed) if needed <= MOST_EXAMPLES else None


def scaled_examples(
    n: int,
    *,
    standard_error: float,
    distance: float,
    alpha: float = 0.05,
    one_sided: bool = False,
    lasting_error: float = 0.0,
) -> int | None:
    """Compute how many examples settle a `distance` with 80% power, for any metric.

    Normal approximation: the standard error seen on n examples shrinks with the root of their number, but for
    `lasting_error`, the part that does not come from the examples. None when the distance is not positive or more than
    `MOST_EXAMPLES` are needed.
    """
    if distance <= 0:
        return None
    z = ndtri(1 - alpha) if one_sided else ndtri(1 - alpha / 2)
    shrunk = (distance / (float(z) + _Z_POWER)) ** 2 - lasting_error**2
    sampling = max(0.0, standard_error**2 - lasting_error**2)
    if shrunk <= 0 or n * sampling / shrunk > MOST_EXAMPLES:
        return None
    return max(1, math.ceil(n * sampling / shrunk))


def detectable_with_error(standard_error: float, *, alpha: float = 0.05) -> float:
    """Compute the smallest true difference shown with 80% power, from a standard error: (z + z_0.8) SE, at most 1."""
    return min(1.0, (float(ndtri(1 - alpha / 2)) + _Z_POWER) * standard_error)


def _critical(pairs: Integers, alpha: float) -> Integers:
    """Find, for each number of discordant pairs, the most that the better strategy may lose; -1 for none."""
    # the normal quantile is close; start above it and step down while the test would not reject
    start = np.floor(pairs / 2 + ndtri(alpha / 2) * np.sqrt(pairs) / 2).astype(np.int64) + 3
    critical: Integers = np.minimum(start, pairs // 2)
    while True:
        accepts = (critical >= 0) & (2 * bdtr(np.maximum(critical, 0), pairs, 0.5) > alpha)
        if not accepts.any():
            return critical
        critical = critical - accepts
