"""All metrics as `evaluate` modules that need no hub, for those who score with `evaluate`: the numbers are llmtl's own.

    module_of(task.metric, task.kind.family).compute(predictions=..., references=...)
    SpanF1().compute(predictions=..., references=...)

`evaluate.load` fetches code from a hub; these are plain classes around `llmtl.metrics.measures`. Predictions and
references are canonical answers (`llmtl.answers`): labels, JSON lists of labels or of spans, texts; None is a failed
prediction. Generation takes a list of references per text.

`llmtl.metrics.score` does not go through these classes. `import evaluate` takes 3 s of CPU in a plain install and 11 s
where transformers is installed, whose pipelines it imports and torch with them; `llmtl decide` takes 4 s in all and
needs neither. `compute` packs the answers into an Arrow table and back, 11 to 13 ms per metric of 3,000 labels instead
of 2 to 3, and returns the same number (a test holds that). Not covered: intervals.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import datasets
import evaluate

from llmtl.errors import DataError
from llmtl.metrics.counting import check_aligned
from llmtl.metrics.measures import LABEL_SETS, ONE_LABEL, RANKINGS, SPANS, TEXTS, Family
from llmtl.values import Metric

_INPUTS = """
Args:
    predictions: One canonical answer per reference; None for a failed prediction, which counts as an error.
    references: The right answers; for generated text a list of references each.
"""
_TEXT = datasets.Value("string")


class _AnswerMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate ships no types
    """A metric over canonical answers, kept in memory: nothing is written to the cache folder."""

    metric: ClassVar[Metric]
    family: ClassVar[Family]
    description = ""
    citation = ""
    references: ClassVar[Any] = _TEXT

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"keep_in_memory": True} | options))

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation=self.citation,
            inputs_description=_INPUTS,
            features=datasets.Features({"predictions": _TEXT, "references": self.references}),
        )

    def _enforce_nested_string_type(self, schema: Any, obj: Any) -> None:
        # evaluate looks only at the first prediction, and if that one failed, does not take it for text
        if obj is not None:
            super()._enforce_nested_string_type(schema, obj)

    def _compute(self, predictions: Sequence[str | None], references: Sequence[str]) -> dict[str, float]:
        labels = self.family.labels_in(references) | self.family.labels_in(predictions)
        return self._score(predictions, references, labels=sorted(labels))

    def _score(
        self, predictions: Sequence[str | None], references: Sequence[str], **known: Sequence[Any]
    ) -> dict[str, float]:
        """Score the predictions; `known` are the labels or further references that `Family.measure` takes."""
        check_aligned(references, predictions)
        return {self.metric.value: self.family.measure(self.metric, references, **known).score(predictions)}


class Accuracy(_AnswerMetric):
    """`{"accuracy": share of examples given their reference}`."""

    metric, family = Metric.ACCURACY, ONE_LABEL
    description = "The share of examples given the right label."


class MacroF1(_AnswerMetric):
    """`{"macro_f1": unweighted mean F1 over the labels among references or predictions}`."""

    metric, family = Metric.MACRO_F1, ONE_LABEL
    description = "The F1 score of each label that occurs, averaged with every label counting the same."
    citation = "Opitz & Burst (2019), Macro F1 and Macro F1, arXiv:1911.03347 (the averaged form)"


class SubsetAccuracy(_AnswerMetric):
    """`{"accuracy": share of examples given exactly the right labels}`."""

    metric, family = Metric.ACCURACY, LABEL_SETS
    description = "The share of examples given all of the right labels and no other."


class LabelsMicroF1(_AnswerMetric):
    """`{"micro_f1": F1 over all (example, label) pairs}`."""

    metric, family = Metric.MICRO_F1, LABEL_SETS
    description = "The F1 score of all labels given to all examples together."


class LabelsMacroF1(_AnswerMetric):
    """`{"macro_f1": unweighted mean F1 over the labels that occur}`."""

    metric, family = Metric.MACRO_F1, LABEL_SETS
    description = "The F1 score of each label that occurs, averaged with every label counting the same."


class SpanF1(_AnswerMetric):
    """`{"micro_f1": F1 over spans whose type, start and end are right}`."""

    metric, family = Metric.MICRO_F1, SPANS
    description = "The F1 score of all spans; one is right when its type and both of its ends are."
    citation = "Tjong Kim Sang & De Meulder (2003), Introduction to the CoNLL-2003 Shared Task"


class SpanMacroF1(_AnswerMetric):
    """`{"macro_f1": unweighted mean of the strict span F1 of each type that occurs}`."""

    metric, family = Metric.MACRO_F1, SPANS
    description = "The strict span F1 of each type that occurs, averaged with every type counting the same."


class PartialSpanF1(_AnswerMetric):
    """`{"partial_f1": span F1 where an overlap of the right type counts half}`."""

    metric, family = Metric.PARTIAL_F1, SPANS
    description = "The F1 score of all spans, where one that overlaps a span of its type counts half."
    citation = "Segura-Bedmar et al. (2013), SemEval-2013 Task 9, section 4"


class FieldF1(_AnswerMetric):
    """`{"field_f1": F1 over (type, text) pairs}`."""

    metric, family = Metric.FIELD_F1, SPANS
    description = "The F1 score of the types with their texts, wherever they stand in the input."


class SpanMatch(_AnswerMetric):
    """`{"exact_match": share of examples with exactly the right spans}`."""

    metric, family = Metric.EXACT_MATCH, SPANS
    description = "The share of examples with all of the right spans and no other."


class _TextMetric(_AnswerMetric):
    """A metric over texts with one or more references each."""

    family = TEXTS
    references = datasets.List(_TEXT)

    def _compute(self, predictions: Sequence[str | None], references: Sequence[Sequence[str]]) -> dict[str, float]:
        others = [several[1:] for several in references]
        return self._score(predictions, [several[0] for several in references], alternatives=others)


class ChrF(_TextMetric):
    """`{"chrf": chrF of the whole set, 0 to 1}`."""

    metric = Metric.CHRF
    description = "The F-score of character n-grams up to 6, recall counting twice, by sacrebleu."
    citation = "Popović (2015), chrF: character n-gram F-score for automatic MT evaluation"


class Bleu(_TextMetric):
    """`{"bleu": BLEU of the whole set, 0 to 1}`."""

    metric = Metric.BLEU
    description = "The precision of word n-grams up to 4 with a penalty for short answers, by sacrebleu."
    citation = "Papineni et al. (2002), BLEU: a Method for Automatic Evaluation of Machine Translation"


class RougeL(_TextMetric):
    """`{"rouge_l": mean F-score of the longest common subsequence, 0 to 1}`."""

    metric = Metric.ROUGE_L
    description = "The F-score of the longest common subsequence of words, averaged over texts, by rouge-score."
    citation = "Lin (2004), ROUGE: A Package for Automatic Evaluation of Summaries"


class TextMatch(_TextMetric):
    """`{"exact_match": share of texts that equal a reference, outer white space aside}`."""

    metric = Metric.EXACT_MATCH
    description = "The share of texts that equal one of their references."


class NdcgAt10(_AnswerMetric):
    """`{"ndcg@10": mean normalised discounted cumulated gain of the first ten ids}`; references list relevant ids."""

    metric, family = Metric.NDCG_10, RANKINGS
    description = (
        "How high the relevant texts stand among the first ten, against the best order, averaged over queries."
    )
    citation = "Järvelin & Kekäläinen (2002), Cumulated gain-based evaluation of IR techniques"


class RecallAt10(_AnswerMetric):
    """`{"recall@10": mean share of the relevant ids that are among the first ten}`."""

    metric, family = Metric.RECALL_10, RANKINGS
    description = "The share of the relevant texts that are among the first ten, averaged over queries."


class MrrAt10(_AnswerMetric):
    """`{"mrr@10": mean of 1 / rank of the first relevant id among ten}`."""

    metric, family = Metric.MRR_10, RANKINGS
    description = "The reciprocal rank of the first relevant text among ten, averaged over queries."


_MODULES: tuple[type[_AnswerMetric], ...] = (
    Accuracy,
    MacroF1,
    SubsetAccuracy,
    LabelsMicroF1,
    LabelsMacroF1,
    SpanF1,
    SpanMacroF1,
    PartialSpanF1,
    FieldF1,
    SpanMatch,
    ChrF,
    Bleu,
    RougeL,
    TextMatch,
    NdcgAt10,
    RecallAt10,
    MrrAt10,
)


def module_of(metric: Metric, family: Family) -> evaluate.Metric:
    """Make the module of a metric for answers of one shape; raise `DataError` if it does not score them."""
    made = next((each for each in _MODULES if (each.metric, each.family) == (metric, family)), None)
    if made is None:
        raise DataError(f"{metric.value} does not score {family.answers}; use one of {', '.join(family.metrics)}.")
    return made()
