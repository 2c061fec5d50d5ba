"""The interval of any `Measure`, examples that come in groups included.

Not covered: accuracy and macro-F1 of independent examples, which have intervals of their own (`scores`); several seeds
(`summed`).
"""

from collections.abc import Sequence

import numpy as np

from llmtl.metrics.intervals import Interval
from llmtl.metrics.measures import Answers, Measure
from llmtl.metrics.summed import Counts, interval_of


def counts_of(
    measure: Measure,
    references: Sequence[str],
    answers: Sequence[Answers],
    *,
    groups: Sequence[str | None] = (),
) -> Counts:
    """Return the counts of one strategy's answers, one sequence a training seed, with those of right and no answers."""
    perfect = measure.counts(references).mean(axis=0)
    return Counts(
        each=np.stack([measure.counts(each) for each in answers]),
        perfect=perfect,
        wrong=measure.without_hits(perfect),
        rests_on=measure.rests_on,
        groups=tuple(groups),
    )


def counted_interval(
    measure: Measure,
    references: Sequence[str],
    answers: Answers,
    *,
    groups: Sequence[str | None] = (),
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the metric of the answers with its 95% Bayesian-bootstrap interval; whole groups are resampled."""
    counts = counts_of(measure, references, [answers], groups=groups)
    return interval_of(measure.value, counts, resamples=resamples, seed=seed)
