"""Compare two strategies, or bound one, in any metric of summed counts, clusters and training seeds included.

The p-value is that of approximate randomisation: the answers to a cluster of examples change sides together, with all
their counts (Noreen 1989; Yeh 2000; for clusters Gail et al. 1996, "On design considerations and randomization-based
inference for community intervention trials"). It is exact when all swaps can be tried. It says nothing about seeds, so
with several seeds it is that of the t statistic of the hierarchical bootstrap instead.

Not covered: accuracy and macro-F1 of independent examples and one seed (`paired`), correcting for several comparisons.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import stdtr

from llmtl.metrics.counting import Answers, Measure
from llmtl.metrics.hierarchical import (
    Floats,
    Integers,
    System,
    Value,
    cluster_codes,
    design_effect,
    distinct_rows,
    observed,
    spread,
    summed,
)
from llmtl.metrics.intervals import Interval
from llmtl.metrics.items import interval_of_items
from llmtl.metrics.paired import PairedDifference

RANDOMISED = "approximate randomisation, paired Bayesian bootstrap interval"
CLUSTERED = "approximate randomisation by group, paired Bayesian bootstrap interval over groups"
SEEDED = "t test and interval of the hierarchical bootstrap over examples and training seeds"
_CHUNK = 2_000_000


@dataclass(frozen=True)
class Counts:
    """The counts of one strategy's answers: `each` (R, N, S) for R seeds of N examples.

    `perfect` and `wrong`, (S,), are the mean counts of an example answered by its reference and by as much that is
    wrong. `rests_on` is the share of the examples that one part of the metric rests on: 1, or the mean share of a label
    in a macro average. `of_items`: the metric is a ratio of hits to items of which examples hold several (`items`).
    `groups` names the cluster of each example, and is empty where examples are independent.
    """

    each: Floats
    perfect: Floats
    wrong: Floats
    groups: tuple[str | None, ...] = field(default=())
    rests_on: float = 1.0
    of_items: bool = False

    @property
    def n(self) -> int:
        """The number of examples, N."""
        return int(self.each.shape[1])

    @property
    def codes(self) -> Integers:
        """The cluster of each example, (N,), numbered from 0."""
        return cluster_codes(self.groups, self.n)


def counts_of(
    measure: Measure,
    references: Sequence[str],
    answers: Sequence[Answers],
    *,
    groups: Sequence[str | None] = (),
) -> Counts:
    """Count one strategy's answers, one sequence per training seed."""
    perfect = measure.counts(references).mean(axis=0)
    return Counts(
        each=np.stack([measure.counts(each) for each in answers]),
        perfect=perfect,
        wrong=measure.without_hits(perfect),
        groups=tuple(groups),
        rests_on=measure.rests_on,
        of_items=measure.of_items,
    )


def clustered(groups: Sequence[str | None]) -> bool:
    """Tell whether any two examples share a group."""
    named = [group for group in groups if group is not None]
    return len(set(named)) < len(named)


def interval_of(value: Value, counts: Counts, *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Compute the metric, a mean over the seeds, with its 95% interval within 0 and 1."""
    clusters = summed(counts.each, counts.codes)
    size = design_effect(value, [counts.each], [1.0], counts.codes)
    system = System(clusters, size * np.stack([counts.perfect, counts.wrong]))
    if clusters.shape[1] < 2:
        return Interval(observed(value, system), 0.0, 1.0)
    if counts.of_items and counts.perfect[0] > 0:
        return interval_of_items(value, clusters, size * counts.perfect / counts.perfect[0])
    found = spread(value, [system], [1.0], resamples=resamples, seed=seed, rests_on=counts.rests_on)
    low, high = (min(1.0, max(0.0, found.end(level))) for level in (0.025, 0.975))
    return Interval(found.value, min(found.value, low), max(found.value, high))


def compare_sums(
    value: Value,
    a: Counts,
    b: Counts,
    *,
    wins: tuple[int, int],
    resamples: int = 10_000,
    seed: int = 0,
    alpha: float = 0.05,
) -> PairedDifference:
    """Compare a with b on the same examples; `wins` says on how many each alone scores higher.

    `joint` of the result is at confidence 1 - `alpha`.
    """
    first, second = (summed(item.each, a.codes) for item in (a, b))
    groups = first.shape[1]
    size = design_effect(value, [a.each, b.each], (1.0, -1.0), a.codes)
    systems = [
        System(first, size * np.stack([a.perfect, a.wrong])),
        System(second, size * np.stack([b.wrong, b.perfect])),
    ]
    found = spread(value, systems, (1.0, -1.0), resamples=resamples, seed=seed, rests_on=a.rests_on)
    low, at_least, at_most, high, *joint = (
        (min(1.0, max(-1.0, found.end(level))) for level in (0.025, 0.05, 0.95, 0.975, alpha / 2, 1 - alpha / 2))
        if groups > 1
        else (-1.0, -1.0, 1.0, 1.0, -1.0, 1.0)  # a single cluster tells nothing about the spread over clusters
    )
    seeded = max(len(first), len(second)) > 1
    if seeded:
        ratio = abs(found.value) / found.standard_error if found.standard_error > 0 else 0.0
        p = min(1.0, 2 * float(stdtr(found.degrees, -ratio)))
    else:
        p = swap_p(value, first[0], second[0], resamples=resamples, seed=seed)
    return PairedDifference(
        difference=found.value,
        low=min(found.value, low),
        high=max(found.value, high),
        at_least=min(found.value, at_least),
        at_most=max(found.value, at_most),
        p=p if groups > 1 else 1.0,
        n=a.n,
        only_a=wins[0],
        only_b=wins[1],
        standard_error=found.standard_error,
        method=SEEDED if seeded else CLUSTERED if groups < a.n else RANDOMISED,
        joint=(min(found.value, joint[0]), max(found.value, joint[1])),
    )


def swap_p(value: Value, a: Floats, b: Floats, *, resamples: int, seed: int) -> float:
    """Compute the two-sided randomisation p-value of a difference between counts (G, S) of the same clusters.

    Exact when there are no more than `resamples` ways to swap the clusters that differ; else (1 + r) / (1 + resamples),
    Phipson & Smyth (2010). It is 1 if none differs.
    """
    differ = (a != b).any(axis=1)
    number = int(differ.sum())
    first, second = a.sum(axis=0), b.sum(axis=0)
    threshold = abs(float(value(first) - value(second))) - 1e-12
    exact = number < 40 and 2**number <= resamples
    ours, theirs = a[differ], b[differ]
    times = np.ones(number, dtype=np.int64)
    if not exact:  # clusters alike on both sides are swapped together: how many of them is binomial
        at, times = distinct_rows(np.concatenate([ours, theirs], axis=1))
        ours, theirs = ours[at], theirs[at]
    rng = np.random.default_rng(seed)
    total = 2**number if exact else resamples
    extreme, start, step = 0, 0, max(1, _CHUNK // max(1, len(times)))
    while start < total:
        size = min(step, total - start)
        swapped = _masks(start, size, number) if exact else rng.binomial(times, 0.5, (size, len(times)))
        moved = swapped @ (theirs - ours)
        ones, others = first + moved, second - moved
        extreme += int((np.abs(value(ones) - value(others)) >= threshold).sum())
        start += size
    return extreme / total if exact else (1 + extreme) / (1 + total)


def _masks(start: int, size: int, bits: int) -> Floats:
    """Write the numbers from `start` as binary digits, one row each."""
    numbers = np.arange(start, start + size)[:, None]
    return np.asarray((numbers >> np.arange(bits)) & 1, dtype=np.float64)
