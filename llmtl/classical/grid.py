"""The best point of a grid on dev, and the training examples that every baseline needs.

Not covered: what a point is, and fitting it (the strategies).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from llmtl.errors import DataError
from llmtl.findings import GridPoint, GridTrace
from llmtl.metrics import Measure
from llmtl.metrics.hierarchical import cluster_codes
from llmtl.metrics.optimism import of_search
from llmtl.strategy import FitContext, Predictor
from llmtl.task import Example, references

Candidate = TypeVar("Candidate")
Answers = Sequence[str | None]
"""One answer per dev example, None for a failure."""


def training_examples(context: FitContext) -> tuple[Example, ...]:
    """Take train; raise `DataError` when it is empty."""
    if not context.train:
        raise DataError("There are no training examples; label some, or make the train share larger.")
    return context.train


def dev_answers(predictor: Predictor, context: FitContext) -> Answers:
    """Collect a predictor's answers on dev."""
    return [prediction.answer for prediction in predictor.predict([example.input for example in context.dev])]


def best_on_dev(
    points: Iterable[tuple[Candidate, Mapping[str, Any], Answers]], context: FitContext, *, name: str, count: int
) -> tuple[Candidate, GridTrace]:
    """Keep what scores best by the task's metric on dev, the first of equals; the trace has all `count` points.

    A point is a candidate with what was chosen for it and its answers on dev.
    """
    task, dev = context.task, context.dev
    truth, metric = references(dev), task.metric.value
    measures: dict[str, Measure] = {}
    best: list[Candidate] = []
    tried: list[GridPoint] = []
    counts = []
    with context.progress.stage(f"{name}: fitting", count) as advance:
        for candidate, choice, answers in points:
            if not measures:  # not before: what is wrong with train, the points say better
                measures = {
                    each.value: task.kind.measure(each, truth, labels=task.labels) for each in task.kind.metrics
                }
            scores = {each: measure.score(answers) for each, measure in measures.items()}
            if all(scores[metric] > other.scores[metric] for other in tried):
                best, chosen = [candidate], choice
            tried.append(GridPoint(dict(choice), scores))
            counts.append(measures[metric].counts(answers))
            advance(1)
    codes = cluster_codes([example.group for example in dev], len(dev))
    return best[0], GridTrace(dict(chosen), tuple(tried), of_search(measures[metric].value, counts, codes))
