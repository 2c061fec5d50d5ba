"""The best point of a grid on dev, and the training examples that every baseline needs.

Not covered: what a point is, and fitting it (the strategies).
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from llmtl.errors import DataError
from llmtl.findings import GridPoint, GridTrace
from llmtl.strategy import FitContext, Predictor
from llmtl.task import Example, references

Candidate = TypeVar("Candidate")
Scores = Mapping[str, float]
"""Dev scores by metric."""


def training_examples(context: FitContext) -> tuple[Example, ...]:
    """Return train; raises `DataError` when it is empty."""
    if not context.train:
        raise DataError("There are no training examples; label some, or make the train share larger.")
    return context.train


def dev_score(predictor: Predictor, context: FitContext) -> Scores:
    """Score a predictor on dev by the task's metric."""
    task = context.task
    measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
    guesses = [prediction.answer for prediction in predictor.predict([example.input for example in context.dev])]
    return {task.metric.value: measure.score(guesses)}


def best_on_dev(
    points: Iterable[tuple[Candidate, Mapping[str, Any], Scores]], context: FitContext, *, name: str, count: int
) -> tuple[Candidate, GridTrace]:
    """Keep what scores best by the task's metric on dev, the first of equals; the trace has all `count` points.

    A point is a candidate with what was chosen for it and its dev scores.
    """
    metric = context.task.metric.value
    best: list[Candidate] = []
    tried: list[GridPoint] = []
    with context.progress.stage(f"{name}: fitting", count) as advance:
        for candidate, choice, scores in points:
            if all(scores[metric] > other.scores[metric] for other in tried):
                best, chosen = [candidate], choice
            tried.append(GridPoint(dict(choice), scores))
            advance(1)
    return best[0], GridTrace(dict(chosen), tuple(tried))
