"""Every metric of every kind of task on given references.

Not covered: how a metric is counted (`counting`), intervals (`scores`), comparing two strategies (`paired`, `summed`),
scores of probabilities (`calibration`).
"""

from collections.abc import Sequence

from llmtl.errors import DataError
from llmtl.metrics.counting import Answers, Measure
from llmtl.metrics.labels import accuracy_measure, label_f1, named_labels, subset_accuracy
from llmtl.metrics.spans import named_types, span_f1, span_match
from llmtl.metrics.text import Bleu, ChrF, RougeL, all_references, text_match
from llmtl.task import METRICS, Metric, TaskKind


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
