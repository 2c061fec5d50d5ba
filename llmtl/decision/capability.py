"""Whether a model can do the task at all: it fails to answer, or does no better than chance, whatever the strategy.

Chance is the score of the most frequent reference as the answer to every example, or of a strategy's own answers dealt
out to other examples, whichever is higher: for accuracy the former, for macro-F1 mostly the latter. A strategy does no
better when its interval on test reaches down to chance, its score exceeds chance by no more than the margin, and its
interval by no more than 10 points: on a test too small for that we make no claim.

Not covered: why (a prompt that another wording would cure looks the same), the words for it (`llmtl.report`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval
from llmtl.strategy import Role
from llmtl.task import RIGHT_OR_WRONG, Metric

MOST_FAILED = 0.5
"""A strategy that fails on this share of test or more does not answer."""
BLUNT = 0.10
"""By how much an interval may reach above chance: a wider one leaves room for a model that works."""
SHUFFLES = 5
"""Each deals out all answers, so the mean over a few varies little."""


class Cannot(StrEnum):
    """Why a model cannot do a task."""

    FAILS = "fails"
    CHANCE = "chance"


@dataclass(frozen=True)
class Incapable:
    """No strategy of a model works: each fails to answer, or does no better than chance.

    `model` is empty where it is not known. `best` is the highest of their scores, `level` that of chance; `failed` is
    the lowest share of test on which one of them failed. `nor` are the baselines, but those with one answer for all,
    where none of them does better than chance either.
    """

    model: str
    strategies: tuple[str, ...]
    why: Cannot
    best: float
    level: float
    failed: float
    nor: tuple[str, ...] = ()
    kind: Literal["incapable"] = "incapable"


@dataclass(frozen=True)
class AllZero:
    """Every strategy scores 0 on the n test examples."""

    n: int
    kind: Literal["all_zero"] = "all_zero"


def capability(test: Iterable[Evaluation], metric: Metric, *, margin: float) -> tuple[AllZero | Incapable, ...]:
    """Find the models that cannot do the task on test; where every strategy scores 0, only that."""
    measured = list(test)
    if not measured:
        return ()
    if all(_score(item, metric).value == 0 for item in measured):
        return (AllZero(measured[0].n),)
    constant = constant_score(measured[0], metric)
    levels = {item.strategy: max(constant, dealt_out(item, metric)) for item in measured}
    by_model: dict[str, list[Evaluation]] = {}
    for item in measured:
        if item.role not in (Role.BASELINE, Role.CASCADE):  # a cascade may do well by its first member alone
            by_model.setdefault(item.model, []).append(item)
    learned = [item for item in measured if item.role is Role.BASELINE and len(set(item.answers)) > 1]
    idle = all(_no_better(item, metric, level=levels[item.strategy], margin=margin) for item in learned)
    nor = tuple(item.strategy for item in learned) if idle else ()
    found = (_incapable(model, items, levels, metric, margin=margin, nor=nor) for model, items in by_model.items())
    return tuple(item for item in found if item is not None)


def constant_score(item: Evaluation, metric: Metric) -> float:
    """Score the most frequent reference as the answer to every example."""
    [(answer, _)] = Counter(item.references).most_common(1)
    return item.measure(metric).score([answer] * item.n)


def dealt_out(item: Evaluation, metric: Metric) -> float:
    """Score a strategy's own answers dealt out at random; 0 where they never score more than one answer for all."""
    if metric in RIGHT_OR_WRONG:
        return 0.0
    measure, rng = item.measure(metric), np.random.default_rng(0)
    answers = np.array(item.answers, dtype=object)
    times = SHUFFLES if item.kind.has_labels else 1  # texts are slow to score
    return float(np.mean([measure.score(rng.permutation(answers).tolist()) for _ in range(times)]))


def _incapable(
    model: str,
    items: Sequence[Evaluation],
    levels: Mapping[str, float],
    metric: Metric,
    *,
    margin: float,
    nor: tuple[str, ...],
) -> Incapable | None:
    """Say what is found of one model, or None where one of its strategies works."""
    silent = [item.failed / item.n >= MOST_FAILED for item in items]
    idle = [_no_better(item, metric, level=levels[item.strategy], margin=margin) for item in items]
    if not all(fails or no_better for fails, no_better in zip(silent, idle, strict=True)):
        return None
    return Incapable(
        model=model,
        strategies=tuple(item.strategy for item in items),
        why=Cannot.FAILS if all(silent) else Cannot.CHANCE,
        best=max(_score(item, metric).value for item in items),
        level=max(levels[item.strategy] for item in items),
        failed=min(item.failed / item.n for item in items),
        nor=nor,
    )


def _no_better(item: Evaluation, metric: Metric, *, level: float, margin: float) -> bool:
    found = _score(item, metric)
    return found.low <= level and found.value <= level + margin and found.high <= level + BLUNT


def _score(item: Evaluation, metric: Metric) -> Interval:
    return item.scores[metric.value]
