"""Every metric as a function of summed counts, so that bootstraps and randomisation tests are `weights @ counts`.

Not covered: intervals (`counted`, `scores`), comparing two systems (`paired`), scores of probabilities (`calibration`).
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import DataError
from llmtl.metrics.labels import accuracy_measure, label_f1, named_labels, subset_accuracy
from llmtl.metrics.spans import named_types, span_f1, span_match
from llmtl.metrics.text import Bleu, ChrF, RougeL, all_references, text_match
from llmtl.task import METRICS, Metric, TaskKind

Floats = NDArray[np.float64]
Answers = Sequence[str | None]
"""One canonical answer (`llmtl.answers`) an example; None records a failure, which is an empty answer and an error."""


class Measure(Protocol):
    """One metric on one set of references."""

    @property
    def metric(self) -> Metric:
        """Return which metric this is."""

    def counts(self, answers: Answers) -> Floats:
        """Return the sufficient statistics of each example, shape (N, S); S is the same for all answers."""

    def value(self, totals: Floats) -> Floats:
        """Return the metric of statistics summed over examples, shape (..., S) to (...), 0 to 1."""

    @property
    def rests_on(self) -> float:
        """Return the share of the examples that one part of the metric rests on: 1 but for a macro average."""

    def without_hits(self, counts: Floats) -> Floats:
        """Return the counts of answers that claim as much and have nothing right, shape (..., S) to (..., S)."""

    def each(self, answers: Answers) -> Floats:
        """Return a score of each example by itself, shape (N,), 0 to 1, for racing and display."""


def measure_of(
    metric: Metric,
    kind: TaskKind,
    references: Sequence[str],
    *,
    alternatives: Sequence[Sequence[str]] = (),
    labels: Sequence[str] = (),
) -> Measure:
    """Return a metric on these references; `alternatives` are more references of each example (generation).

    `labels` (extraction: types) are by default those in the references; an answer that names another counts as failed,
    so give them wherever answers may name labels that no reference has. Raises `DataError` for a metric of another kind
    of task, for no reference, and for a reference that names none of `labels`.
    """
    if metric not in METRICS[kind]:
        raise DataError(f"{metric.value} does not score {kind.value}; use one of {', '.join(METRICS[kind])}.")
    if not references:
        raise DataError("There is nothing to score; give at least one example.")
    if kind is TaskKind.GENERATION:
        return _of_text(metric, references, alternatives)
    known = _labels(kind, references, labels)
    if kind is TaskKind.EXTRACTION:
        return span_match(references) if metric is Metric.EXACT_MATCH else span_f1(metric, references, known)
    several = kind is TaskKind.MULTI_LABEL
    if metric is Metric.ACCURACY:
        return subset_accuracy(references) if several else accuracy_measure(references)
    return label_f1(metric, references, known, several=several)


def labels_in(kind: TaskKind, answers: Answers) -> set[str]:
    """Return the labels (extraction: types) that answers name; none for generation and for what cannot be read."""
    given = {answer for answer in answers if answer is not None}
    if kind is TaskKind.GENERATION:
        return set()
    if kind is TaskKind.EXTRACTION:
        return set().union(*map(named_types, given))
    return set().union(*(named_labels(answer, several=kind is TaskKind.MULTI_LABEL) for answer in given))


def _of_text(metric: Metric, references: Sequence[str], alternatives: Sequence[Sequence[str]]) -> Measure:
    if metric is Metric.EXACT_MATCH:
        return text_match(references, alternatives)
    several = all_references(references, alternatives)
    if metric is Metric.ROUGE_L:
        return RougeL(several)
    return ChrF(several) if metric is Metric.CHRF else Bleu(several)


def _labels(kind: TaskKind, references: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the given labels, or those in the references, sorted."""
    named = labels_in(kind, references)
    unknown = sorted(named - set(labels)) if labels else []
    if unknown:
        what = "types" if kind is TaskKind.EXTRACTION else "labels"
        raise DataError(f"The reference '{unknown[0]}' is none of the task's {what}; add it to the labels.")
    return list(labels) or sorted(named)
