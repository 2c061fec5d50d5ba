"""All metrics of a task's predictions, each with a 95% interval; a failed prediction (None) is an error.

Not covered: scores of probabilities (`calibration`), comparing two strategies (`paired`).
"""

from collections.abc import Collection, Sequence

import numpy as np

from llmtl.metrics.aligned import Labels, check_aligned
from llmtl.metrics.counted import counted_interval
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.measures import Measure, labels_in, measure_of
from llmtl.metrics.resampling import Patterns, macro_f1_interval, patterns
from llmtl.task import METRICS, Metric, TaskKind

INTERVAL_RESAMPLES = 2000
"""Efron & Tibshirani (1993), "An Introduction to the Bootstrap", section 14: 1000 to 2000 for percentile intervals."""
SHARES = (Metric.ACCURACY, Metric.EXACT_MATCH)
"""Metrics that count right answers."""


def accuracy(references: Sequence[str], predictions: Labels) -> float:
    """Return the share of examples given their reference; failures count as errors. Raises `DataError`."""
    check_aligned(references, predictions)
    return float(np.mean([guess == truth for truth, guess in zip(references, predictions, strict=True)]))


def macro_f1(references: Sequence[str], predictions: Labels) -> float:
    """Return the unweighted mean F1 over the labels that occur among the references or the predictions.

    This is scikit-learn's `f1_score(average="macro")` with its default labels; a task's label that occurs in neither is
    left out, since its F1 is not defined. A failed prediction is a miss for its reference's label and no false positive
    for any other. Raises `DataError` for no examples or unequal lengths.
    """
    return float(_patterns(references, predictions).observed()[0])


def score(
    references: Sequence[str],
    predictions: Labels,
    *,
    kind: TaskKind = TaskKind.CLASSIFICATION,
    labels: Collection[str] | None = None,
    alternatives: Sequence[Sequence[str]] = (),
    groups: Sequence[str | None] = (),
    resamples: int = INTERVAL_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return every metric of this kind of task with its 95% interval, by name, the default metric first.

    A share of right answers to independent examples has its Wilson interval, everything else one from the Bayesian
    bootstrap. Examples of one group (None: of no other's) are resampled together. With `labels`, a prediction that is
    none of them counts as a failure and a reference that is none of them raises `DataError`, as do unequal lengths and
    no examples.
    """
    check_aligned(references, predictions)
    names = _named(kind, references, predictions) if labels is None else list(labels)
    scores = {}
    for metric in METRICS[kind]:
        measure = measure_of(metric, kind, references, alternatives=alternatives, labels=names)
        if not clustered(groups) and metric in SHARES:
            interval = _share_interval(measure, predictions)
        elif not clustered(groups) and kind is TaskKind.CLASSIFICATION:
            known = [guess if guess in names else None for guess in predictions]
            interval = macro_f1_interval(_patterns(references, known), resamples=resamples, seed=seed)
        else:
            interval = counted_interval(measure, references, predictions, groups=groups, resamples=resamples, seed=seed)
        scores[metric.value] = interval
    return scores


def clustered(groups: Sequence[str | None]) -> bool:
    """Return whether any two examples share a group."""
    named = [group for group in groups if group is not None]
    return len(set(named)) < len(named)


def _share_interval(measure: Measure, predictions: Labels) -> Interval:
    return wilson(round(float(measure.each(predictions).sum())), len(predictions))


def _named(kind: TaskKind, references: Sequence[str], predictions: Labels) -> list[str]:
    return sorted(labels_in(kind, references) | labels_in(kind, predictions))


def _patterns(references: Sequence[str], predictions: Labels) -> Patterns:
    check_aligned(references, predictions)
    return patterns(references, predictions)
