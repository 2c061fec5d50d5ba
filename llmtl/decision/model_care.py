"""What must be known of models, metric and data before a verdict is used: toys, models far behind, copies in test.

Not covered: models that do no better than chance (`capability`), the words for it (`llmtl.report.care_words`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmtl.checks.finding import Finding, Level
from llmtl.measured.evaluation import Evaluation
from llmtl.pocket import NAMES as TOYS
from llmtl.strategy import Role
from llmtl.task import Metric

FAR = 0.2
"""From this much on a prompted model is far behind its peers (our choice): no other wording is likely to make up for
it."""


@dataclass(frozen=True)
class ToyModel:
    """Strategies that ran on a model that comes with llmtl to try it with; `wins` says that the winner is one."""

    model: str
    strategies: tuple[str, ...]
    wins: bool
    kind: Literal["toy_model"] = "toy_model"


@dataclass(frozen=True)
class FarBehind:
    """A model that is prompted as it is scores at best `score`, by `strategy`, and `rival` scores `rival_score`."""

    model: str
    strategy: str
    score: float
    rival: str
    rival_score: float
    kind: Literal["far_behind"] = "far_behind"


@dataclass(frozen=True)
class NearCopies:
    """`copies` of n test inputs nearly equal one that was learned from; both scores are the winner's.

    `without` is its score on the other inputs, None where none is left.
    """

    strategy: str
    copies: int
    n: int
    score: float
    without: float | None
    kind: Literal["near_copies"] = "near_copies"


@dataclass(frozen=True)
class OtherMetric:
    """By `metric`, which is not the one decided by, `strategy` is ahead of the winner by more than the margin."""

    metric: str
    winner: str
    winner_score: float
    strategy: str
    score: float
    kind: Literal["other_metric"] = "other_metric"


@dataclass(frozen=True)
class DataDoubt:
    """A check of the data contradicts what was chosen by default, of how labels are read or what is decided by."""

    check: str
    message: str
    kind: Literal["data_doubt"] = "data_doubt"


DOUBTS = ("label-separator", "span-edges", "label-spelling", "imbalance", "label-in-text", "truncation", "templates")
"""The checks whose warnings say that a default does not suit these data."""


ModelCare = DataDoubt | ToyModel | FarBehind | NearCopies | OtherMetric


def data_doubts(findings: Sequence[Finding]) -> tuple[DataDoubt, ...]:
    """Take from the checks of the data what contradicts a default."""
    return tuple(
        DataDoubt(each.check, each.message) for each in findings if each.check in DOUBTS and each.level is Level.WARNING
    )


def toy_models(test: Sequence[Evaluation], winner: str) -> tuple[ToyModel, ...]:
    """Find strategies that ran on an embedded model."""
    by_model: dict[str, list[str]] = {}
    for item in test:
        if item.model in TOYS:
            by_model.setdefault(item.model, []).append(item.strategy)
    return tuple(ToyModel(model, tuple(names), winner in names) for model, names in by_model.items())


def far_behind(test: Sequence[Evaluation], metric: Metric, *, left_out: Collection[str] = ()) -> tuple[FarBehind, ...]:
    """Find models whose every prompt is far behind the best other strategy, the intervals apart as well.

    Embedded models are left to `toy_models`, and `left_out` are models of which more is known.
    """
    by_model: dict[str, list[Evaluation]] = {}
    for item in test:
        if item.role is Role.PROMPTING and item.model and item.model not in (*TOYS, *left_out):
            by_model.setdefault(item.model, []).append(item)
    others = [item for item in test if item.role is not Role.PROMPTING and item.role is not Role.CASCADE]
    if not others:
        return ()
    rival = max(others, key=lambda item: item.scores[metric.value].value)
    ahead = rival.scores[metric.value]
    found = []
    for model, prompted in by_model.items():
        best = max(prompted, key=lambda item: item.scores[metric.value].value)
        score = best.scores[metric.value]
        if ahead.value - score.value >= FAR and score.high < ahead.low:
            found.append(FarBehind(model, best.strategy, score.value, rival.strategy, ahead.value))
    return tuple(found)


def near_copies(winner: Evaluation, metric: Metric, copies: Collection[str]) -> tuple[NearCopies, ...]:
    """Score the winner without the test inputs (ids) that nearly equal one that was learned from."""
    kept = np.array([item.id not in copies for item in winner.predictions])
    if kept.all():
        return ()
    measure = winner.measure(metric)
    counts = measure.counts(winner.answers)
    score, without = (float(measure.value(rows.sum(axis=0))) if len(rows) else None for rows in (counts, counts[kept]))
    return (NearCopies(winner.strategy, int((~kept).sum()), winner.n, score or 0.0, without),)


def other_metric(
    winner: Evaluation, rivals: Mapping[str, Evaluation], metric: Metric, *, margin: float
) -> tuple[OtherMetric, ...]:
    """Find a metric of the kind by which a rival leads by more than the margin, though the winner leads by `metric`.

    That is where the average that was chosen matters: accuracy counts examples, macro-F1 counts labels.
    """
    found = []
    for other in (each.value for each in winner.kind.metrics if each is not metric):
        scored = {name: item for name, item in rivals.items() if other in item.scores and metric.value in item.scores}
        if other not in winner.scores or not scored:
            continue
        best = max(scored.values(), key=lambda item: item.scores[other].value)
        ahead = best.scores[other].value > winner.scores[other].value + margin
        if ahead and best.scores[metric.value].value <= winner.scores[metric.value].value:
            found.append(
                OtherMetric(other, winner.strategy, winner.scores[other].value, best.strategy, best.scores[other].value)
            )
    return tuple(found[:1])
