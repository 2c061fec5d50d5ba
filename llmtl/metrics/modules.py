"""Accuracy and macro-F1 as `evaluate` modules that need no hub: `Accuracy().compute(predictions=..., references=...)`.

`evaluate.load` fetches code from a hub; these are plain classes around `llmtl.metrics.scores`. Both take label strings,
with None for a failed prediction. Importing this module imports `datasets` and torch. Not covered: intervals.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from llmtl.metrics import scores

_INPUTS = """
Args:
    predictions: One label a reference; None for a failed prediction, which counts as an error.
    references: The true labels.
"""


class _LabelMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate ships no types
    """A metric over label strings, kept in memory: nothing is written to the cache folder."""

    name = ""
    description = ""
    citation = ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"keep_in_memory": True} | options))

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=self.description,
            citation=self.citation,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )


class Accuracy(_LabelMetric):
    """`{"accuracy": share of examples given their reference}`."""

    description = "The share of examples given the right label."

    def _compute(self, predictions: Sequence[str | None], references: Sequence[str]) -> dict[str, float]:
        return {"accuracy": scores.accuracy(references, predictions)}


class MacroF1(_LabelMetric):
    """`{"macro_f1": unweighted mean F1 over the labels among references or predictions}`."""

    description = "The F1 score of each label that occurs, averaged with every label counting the same."
    citation = "Opitz & Burst (2019), Macro F1 and Macro F1, arXiv:1911.03347 (the averaged form)"

    def _compute(self, predictions: Sequence[str | None], references: Sequence[str]) -> dict[str, float]:
        return {"macro_f1": scores.macro_f1(references, predictions)}
