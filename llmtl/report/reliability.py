"""Whether the winner's probabilities can be trusted: confidence against accuracy on test.

Not covered: recalibrating; per-label calibration.
"""

import math
from dataclasses import dataclass

from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.calibration import expected_calibration_error

BINS = 10
"""Equally wide, as in the reliability diagrams of Guo et al. (2017), "On Calibration of Modern Neural Networks"."""


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies in one bin: their mean confidence, accuracy and number."""

    confidence: float
    accuracy: float
    n: int


@dataclass(frozen=True)
class Reliability:
    """The expected calibration error (0 is perfect) and the bins that hold predictions, least confident first."""

    strategy: str
    ece: float
    bins: tuple[Bin, ...]


def reliability_of(evaluation: Evaluation) -> Reliability | None:
    """Measure the reliability of a strategy's probabilities; None where it gave none.

    Confidence is the highest probability. Failed predictions have no probabilities and are left out.
    """
    answered = [
        (prediction.probabilities, reference)
        for prediction, reference in zip(evaluation.predictions, evaluation.references, strict=True)
        if prediction.answer is not None and prediction.probabilities
    ]
    if not answered:
        return None
    ece = expected_calibration_error([truth for _, truth in answered], [row for row, _ in answered], bins=BINS)
    members: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probabilities, truth in answered:
        label, confidence = max(probabilities.items(), key=lambda item: item[1])
        members[min(max(math.ceil(confidence * BINS) - 1, 0), BINS - 1)].append((confidence, label == truth))
    return Reliability(evaluation.strategy, ece, tuple(_bin(group) for group in members if group))


def _bin(group: list[tuple[float, bool]]) -> Bin:
    n = len(group)
    return Bin(sum(confidence for confidence, _ in group) / n, sum(right for _, right in group) / n, n)
