"""Score a task's predictions by all its metrics, each with a 95% interval; a failed prediction (None) is an error.

Not covered: scores of probabilities (`calibration`), comparing two strategies (`paired`, `summed`).
"""

from collections.abc import Collection, Sequence

from llmtl.metrics.counting import Answers, Measure, check_aligned
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.measures import ONE_LABEL, Family
from llmtl.metrics.summed import clustered, counts_of, interval_of
from llmtl.values import RIGHT_OR_WRONG, Metric

INTERVAL_RESAMPLES = 2000
"""Efron & Tibshirani (1993), "An Introduction to the Bootstrap", section 14: 1000 to 2000 for percentile intervals."""


def accuracy(references: Sequence[str], predictions: Answers) -> float:
    """Compute the share of examples given their reference; failures count as errors. Raises `DataError`."""
    return _of_labels(Metric.ACCURACY, references, predictions)


def macro_f1(references: Sequence[str], predictions: Answers) -> float:
    """Compute the unweighted mean F1 over the labels that occur among the references or the predictions.

    This is scikit-learn's `f1_score(average="macro")` with its default labels; a task's label that occurs in neither is
    left out, since its F1 is not defined. A failed prediction is a miss for its reference's label and not a false
    positive for any other. Raises `DataError` for no examples or unequal lengths.
    """
    return _of_labels(Metric.MACRO_F1, references, predictions)


def score(
    references: Sequence[str],
    predictions: Answers,
    *,
    family: Family = ONE_LABEL,
    labels: Collection[str] | None = None,
    alternatives: Sequence[Sequence[str]] = (),
    groups: Sequence[str | None] = (),
    resamples: int = INTERVAL_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Compute every metric for answers of this shape with its 95% interval, by name, the default metric first.

    A share of right answers to independent examples has its Wilson interval, a micro average that of its items,
    everything else one from the Bayesian bootstrap. Examples of one group (None: of no other's) come together. With
    `labels`, a prediction that is none of them counts as a failure and a reference that is none of them raises
    `DataError`, as do unequal lengths and no examples.
    """
    check_aligned(references, predictions)
    names = _named(family, references, predictions) if labels is None else list(labels)
    scores = {}
    for metric in family.metrics:
        measure = family.measure(metric, references, alternatives=alternatives, labels=names)
        if metric in RIGHT_OR_WRONG and not clustered(groups):
            scores[metric.value] = _share_interval(measure, predictions)
        else:
            counts = counts_of(measure, references, [predictions], groups=groups)
            scores[metric.value] = interval_of(measure.value, counts, resamples=resamples, seed=seed)
    return scores


def _share_interval(measure: Measure, predictions: Answers) -> Interval:
    return wilson(round(float(measure.each(predictions).sum())), len(predictions))


def _of_labels(metric: Metric, references: Sequence[str], predictions: Answers) -> float:
    check_aligned(references, predictions)
    names = _named(ONE_LABEL, references, predictions)
    return ONE_LABEL.measure(metric, references, labels=names).score(predictions)


def _named(family: Family, references: Sequence[str], predictions: Answers) -> list[str]:
    return sorted(family.labels_in(references) | family.labels_in(predictions))
