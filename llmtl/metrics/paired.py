"""Compare two strategies on the same examples: difference, interval and p-value.

Shares of right answers use the exact McNemar test and Tango's score interval. A test and an interval of different
construction can disagree right at the threshold; decisions take "shown better" from the test and "not better by more
than the margin" from the one-sided bounds. Holm's correction is for p-values only; intervals that hold together and
agree with it are made of `joint` (`llmtl.decision.simultaneous`).

Not covered: other metrics, groups of examples and training seeds (`summed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import bdtr, ndtri

from llmtl.metrics.intervals import Z_ONE_SIDED, tango

MCNEMAR = "exact McNemar test, Tango score interval"


@dataclass(frozen=True)
class PairedDifference:
    """score(a) - score(b) on n shared examples.

    `low` and `high` end the 95% interval; `at_least` and `at_most` are one-sided 95% bounds. `only_a` and `only_b`
    count the examples that one of the two alone gets right (or that it scores higher on, where examples are not just
    right or wrong). `standard_error` is that of the difference, and `draw_error` the part of it that is stated for one
    draw (`between_draws`), which no number of examples makes smaller. `joint` ends the interval at the confidence asked
    for, which is more than 95% where several comparisons are to hold together.
    """

    difference: float
    low: float
    high: float
    at_least: float
    at_most: float
    p: float
    n: int
    only_a: int
    only_b: int
    standard_error: float
    method: str
    joint: tuple[float, float]
    draw_error: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the exact McNemar test was used, so that power can be computed exactly too."""
        return self.method == MCNEMAR

    @property
    def discordance(self) -> float:
        """The share of examples that only one of the two gets right."""
        return (self.only_a + self.only_b) / self.n


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Compute the two-sided p-value of the exact McNemar test: a binomial test of the discordant pairs against 1/2.

    McNemar (1947); it is 1 without discordant pairs.
    """
    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def compare_counts(only_a: int, only_b: int, n: int, *, alpha: float = 0.05) -> PairedDifference:
    """Compare two accuracies by the discordant counts of n examples, with `joint` at confidence 1 - `alpha`."""
    two_sided, one_sided = tango(only_a, only_b, n), tango(only_a, only_b, n, z=Z_ONE_SIDED)
    joint = tango(only_a, only_b, n, z=float(ndtri(1 - alpha / 2)))
    variance = ((only_a + only_b) - (only_a - only_b) ** 2 / n) / n**2
    return PairedDifference(
        difference=two_sided.value,
        low=two_sided.low,
        high=two_sided.high,
        at_least=one_sided.low,
        at_most=one_sided.high,
        p=mcnemar_exact(only_a, only_b),
        n=n,
        only_a=only_a,
        only_b=only_b,
        standard_error=max(0.0, variance) ** 0.5,
        method=MCNEMAR,
        joint=(joint.low, joint.high),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for making several comparisons, in the given order.

    Comparing each with alpha keeps the family-wise error at alpha.

    Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure": the i-th smallest of m p-values is
    multiplied by m - i + 1, and no adjusted value is smaller than the one before it.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted
