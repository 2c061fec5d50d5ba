"""The best point of a grid on dev, and the training examples that every baseline needs.

Not covered: what a point is, and fitting it (the strategies).
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from llmtl.errors import DataError
from llmtl.strategy import FitContext, Predictor
from llmtl.task import Example, references

Fitted = TypeVar("Fitted")
Point = Mapping[str, Any]
"""What was chosen at a point of the grid, and its dev scores by the name `dev_METRIC`."""


def training_examples(context: FitContext) -> tuple[Example, ...]:
    """Return train; raises `DataError` when it is empty."""
    if not context.train:
        raise DataError("There are no training examples; label some, or make the train share larger.")
    return context.train


def dev_score(predictor: Predictor, context: FitContext) -> dict[str, float]:
    """Return the task's metric on dev as a point names it."""
    task = context.task
    measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
    guesses = [prediction.answer for prediction in predictor.predict([example.input for example in context.dev])]
    return {f"dev_{task.metric}": measure.score(guesses)}


def best_on_dev(
    points: Iterable[tuple[Fitted, Point]], context: FitContext, *, name: str, count: int
) -> tuple[Fitted, tuple[Point, ...]]:
    """Return what scores best by the task's metric on dev, the first of equals, and all `count` points tried."""
    metric = f"dev_{context.task.metric}"
    best: list[Fitted] = []
    grid: list[Point] = []
    with context.progress.stage(f"{name}: fitting", count) as advance:
        for fitted, point in points:
            if all(point[metric] > other[metric] for other in grid):
                best = [fitted]
            grid.append(point)
            advance(1)
    return best[0], tuple(grid)
