"""One strategy against another on the same examples: difference, interval and p-value.

Accuracy uses the exact McNemar test and Tango's score interval; macro-F1 approximate randomisation and the paired
Bayesian bootstrap. A test and an interval of different construction can disagree right at the threshold; decisions
take "shown better" from the test and "not better by more than the margin" from the one-sided bounds.

Not covered: other metrics, groups of examples and training seeds (`summed`), correcting for several comparisons
(`multiplicity`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from llmtl.metrics.aligned import Labels, check_aligned
from llmtl.metrics.intervals import Z_ONE_SIDED, tango
from llmtl.metrics.resampling import macro_f1_difference_draws, patterns, randomisation_p
from llmtl.task import Metric

MCNEMAR = "exact McNemar test, Tango score interval"
RANDOMISATION = "approximate randomisation, paired Bayesian bootstrap interval"


@dataclass(frozen=True)
class PairedDifference:
    """score(a) - score(b) on n shared examples.

    `low` and `high` end the 95% interval; `at_least` and `at_most` are one-sided 95% bounds. `only_a` and `only_b`
    count the examples that one of the two alone gets right (or that it scores higher on, where examples are not just
    right or wrong). `standard_error` is that of the difference.
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

    @property
    def exact(self) -> bool:
        """Return whether the exact McNemar test was made, so that power can be computed exactly too."""
        return self.method == MCNEMAR

    @property
    def discordance(self) -> float:
        """Return the share of examples that one of the two alone gets right."""
        return (self.only_a + self.only_b) / self.n


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided p-value of the exact McNemar test: a binomial test of the discordant pairs against 1/2.

    McNemar (1947); it is 1 without discordant pairs.
    """
    return min(1.0, 2.0 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def compare(
    references: Sequence[str], a: Labels, b: Labels, *, metric: Metric, resamples: int = 10_000, seed: int = 0
) -> PairedDifference:
    """Return how the predictions `a` compare with `b` in the metric; failures (None) are errors.

    `resamples` and `seed` matter to macro-F1 only. Raises `DataError` for no examples or unequal lengths.
    """
    check_aligned(references, a)
    check_aligned(references, b)
    right_a = np.array([guess == truth for truth, guess in zip(references, a, strict=True)])
    right_b = np.array([guess == truth for truth, guess in zip(references, b, strict=True)])
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    if metric is Metric.ACCURACY:
        return compare_counts(only_a, only_b, len(references))
    return _compare_macro_f1(references, a, b, discordant=(only_a, only_b), resamples=resamples, seed=seed)


def compare_counts(only_a: int, only_b: int, n: int) -> PairedDifference:
    """Return the paired comparison of two accuracies from the discordant counts of n examples."""
    two_sided, one_sided = tango(only_a, only_b, n), tango(only_a, only_b, n, z=Z_ONE_SIDED)
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
    )


def _compare_macro_f1(
    references: Sequence[str], a: Labels, b: Labels, *, discordant: tuple[int, int], resamples: int, seed: int
) -> PairedDifference:
    counted = patterns(references, a, b)
    first, second = counted.observed()
    value = float(first - second)
    draws = macro_f1_difference_draws(counted, resamples=resamples, seed=seed)
    low, at_least, at_most, high = (float(end) for end in np.quantile(draws, (0.025, 0.05, 0.95, 0.975)))
    return PairedDifference(
        difference=value,
        low=min(value, low),
        high=max(value, high),
        at_least=min(value, at_least),
        at_most=max(value, at_most),
        p=randomisation_p(counted, resamples=resamples, seed=seed),
        n=counted.n,
        only_a=discordant[0],
        only_b=discordant[1],
        standard_error=float(draws.std()),
        method=RANDOMISATION,
    )
