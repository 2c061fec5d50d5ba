"""Score labels: one per message (classification) or any number (multi-label).

Not covered: scores of probabilities (`calibration`).
"""

from collections import Counter
from collections.abc import Sequence

from llmtl.answers import read_labels
from llmtl.errors import InputError
from llmtl.metrics.counting import ExactMeasure, F1Measure, Items, common, exact, read_all
from llmtl.values import Metric


def accuracy_measure(references: Sequence[str]) -> ExactMeasure:
    """Measure the share of examples with the right label."""
    return exact(Metric.ACCURACY, references, str)


def subset_accuracy(references: Sequence[str]) -> ExactMeasure:
    """Measure the share of examples with exactly the right labels (scikit-learn's `accuracy_score` of sets)."""
    return exact(Metric.ACCURACY, references, lambda answer: frozenset(read_labels(answer)))


def label_f1(metric: Metric, references: Sequence[str], labels: Sequence[str], *, several: bool) -> F1Measure:
    """Measure micro- or macro-F1 over labels; an answer is one label, or with `several` a JSON list."""
    read = _several if several else _one
    return F1Measure(
        metric=metric,
        labels=tuple(labels),
        expected=read_all(read, references),
        read=read,
        agree=common,
        macro=metric is Metric.MACRO_F1,
    )


def named_labels(answer: str, *, several: bool) -> set[str]:
    """Read the labels that an answer names; none if it cannot be read."""
    try:
        return set(_several(answer) if several else _one(answer))
    except InputError:
        return set()


def _one(answer: str) -> Items:
    return {answer: Counter([()])}


def _several(answer: str) -> Items:
    return {label: Counter([()]) for label in read_labels(answer)}
