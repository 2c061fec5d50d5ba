"""Make every metric for every shape of answer: one label, a set of labels, typed spans, a text, a ranking.

Not covered: how a metric is counted (`counting`), intervals (`scores`), comparing two strategies (`paired`, `summed`),
scores of probabilities (`calibration`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from llmtl.errors import DataError
from llmtl.metrics.counting import Answers, Measure
from llmtl.metrics.rankings import ranking_measure
from llmtl.metrics.sets import accuracy_measure, label_f1, named_labels, subset_accuracy
from llmtl.metrics.spans import named_types, span_f1, span_match
from llmtl.metrics.text import BleuMeasure, ChrFMeasure, RougeLMeasure, all_references, text_match
from llmtl.values import Metric


@dataclass(frozen=True)
class Family:
    """The metrics of answers of one shape, which `answers` names; `labels` is what their labels are called.

    `make` takes a metric, references, alternatives and labels; `named` reads the labels in an answer, none if it
    cannot be read.
    """

    answers: str
    metrics: tuple[Metric, ...]
    make: Callable[[Metric, Sequence[str], Sequence[Sequence[str]], Sequence[str]], Measure]
    named: Callable[[str], set[str]]
    labels: str = "labels"

    def measure(
        self,
        metric: Metric,
        references: Sequence[str],
        *,
        alternatives: Sequence[Sequence[str]] = (),
        labels: Collection[str] = (),
    ) -> Measure:
        """Make a metric on these references; `alternatives` are more references of each example (texts).

        `labels` (spans: types) default to those in the references; an answer that names another counts as failed,
        so give them wherever answers may name labels that no reference has. Raises `DataError` for a metric of other
        answers, for no reference, and for a reference that names none of `labels`.
        """
        if metric not in self.metrics:
            raise DataError(f"{metric.value} does not score {self.answers}; use one of {', '.join(self.metrics)}.")
        if not references:
            raise DataError("There is nothing to score; give at least one example.")
        named = self.labels_in(references)
        unknown = sorted(named - set(labels)) if labels else []
        if unknown:
            raise DataError(
                f"The reference '{unknown[0]}' is not one of the task's {self.labels}; add it to the labels."
            )
        return self.make(metric, references, alternatives, list(labels) or sorted(named))

    def labels_in(self, answers: Answers) -> set[str]:
        """Collect the labels (spans: types) that answers name; none for texts and for unreadable answers."""
        return set().union(*(self.named(answer) for answer in {each for each in answers if each is not None}))


def _label(metric: Metric, references: Sequence[str], _: Sequence[Sequence[str]], labels: Sequence[str]) -> Measure:
    if metric is Metric.ACCURACY:
        return accuracy_measure(references)
    return label_f1(metric, references, labels, several=False)


def _set(metric: Metric, references: Sequence[str], _: Sequence[Sequence[str]], labels: Sequence[str]) -> Measure:
    return (
        subset_accuracy(references) if metric is Metric.ACCURACY else label_f1(metric, references, labels, several=True)
    )


def _spans(metric: Metric, references: Sequence[str], _: Sequence[Sequence[str]], labels: Sequence[str]) -> Measure:
    return span_match(references) if metric is Metric.EXACT_MATCH else span_f1(metric, references, labels)


def _text(metric: Metric, references: Sequence[str], others: Sequence[Sequence[str]], _: Sequence[str]) -> Measure:
    if metric is Metric.EXACT_MATCH:
        return text_match(references, others)
    several = all_references(references, others)
    if metric is Metric.ROUGE_L:
        return RougeLMeasure(several)
    return ChrFMeasure(several) if metric is Metric.CHRF else BleuMeasure(several)


def _ranking(metric: Metric, references: Sequence[str], others: Sequence[Sequence[str]], _: Sequence[str]) -> Measure:
    return ranking_measure(metric, references, others)


ONE_LABEL = Family(
    "one label",
    (Metric.ACCURACY, Metric.MACRO_F1),
    _label,
    lambda answer: named_labels(answer, several=False),
)
LABEL_SETS = Family(
    "sets of labels",
    (Metric.MICRO_F1, Metric.MACRO_F1, Metric.ACCURACY),
    _set,
    lambda answer: named_labels(answer, several=True),
)
SPANS = Family(
    "spans",
    (Metric.MICRO_F1, Metric.MACRO_F1, Metric.PARTIAL_F1, Metric.FIELD_F1, Metric.EXACT_MATCH),
    _spans,
    named_types,
    labels="types",
)
TEXTS = Family("texts", (Metric.CHRF, Metric.BLEU, Metric.ROUGE_L, Metric.EXACT_MATCH), _text, lambda answer: set())
RANKINGS = Family("rankings", (Metric.NDCG_10, Metric.RECALL_10, Metric.MRR_10), _ranking, lambda answer: set())
