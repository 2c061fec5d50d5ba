"""Whether the verdict rests on labels that look wrong: decided again without the suspects.

Not covered: finding suspects (`llmtl.checks.label_noise`); fitting again without those in train
(`llmtl.pipeline.noise_refits`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import mean, stdev
from typing import TypeVar

from pydantic import TypeAdapter

from llmtl.checks.label_noise import FEW_LABELS, WEAK_CLASSIFIER
from llmtl.costs import PriceConfig, Spent
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Decision, TestScore, Verdict
from llmtl.decision.share_choice import by_goal
from llmtl.measured.evaluation import Evaluation
from llmtl.task import Task

Value = TypeVar("Value")
FEWEST_LEFT = 10
"""With fewer dev or test examples left, deciding again says nothing."""


class Unchecked(StrEnum):
    """Why it is not known whether the verdict rests on wrong labels."""

    OTHER_KIND = "other_kind"  # only labels of classification are checked
    FEW_LABELS = FEW_LABELS
    WEAK_CLASSIFIER = WEAK_CLASSIFIER
    TOO_FEW_LEFT = "too_few_left"
    TOLD = "told"  # earlier versions kept the words alone


@dataclass(frozen=True)
class NoAnswer:
    """Why there is no answer, with the kind of task or the classifier's skill where it is for that."""

    why: Unchecked
    kind: str = ""
    skill: float | None = None
    told: str = ""


class Unfitted(StrEnum):
    """Why a strategy was not fitted again without the suspects."""

    PAID = "paid"  # its provider would charge for every request again
    NO_TIME = "no_time"
    SKIPPED = "skipped"  # it cannot run without them, as `told` says
    TOLD = "told"  # earlier versions kept the words alone


@dataclass(frozen=True)
class NotRefitted:
    """Why a strategy was not fitted again, with the seconds it would have taken and those that were left."""

    why: Unfitted
    takes_seconds: float = 0.0
    left_seconds: float = 0.0
    told: str = ""


@dataclass(frozen=True)
class Suspects:
    """Examples whose label looks wrong.

    `refitted` are evaluations, on what is left of dev and test, of strategies fitted without the `in_train` suspects,
    once each; `not_refitted` says why others that used them were not, `spent` what fitting again took.
    """

    ids: frozenset[str]
    in_train: int = 0
    refitted: tuple[Evaluation, ...] = ()
    not_refitted: Mapping[str, NotRefitted] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)


@dataclass(frozen=True)
class Rescored:
    """The test score of one strategy with and without the suspects; `refitted`: in train too.

    `seeds` and `seeds_after` are the training seeds that the two scores are the mean of.
    """

    strategy: str
    before: float
    after: float
    refitted: bool = False
    seeds: int = 1
    seeds_after: int = 1


@dataclass(frozen=True)
class NoiseSensitivity:
    """What becomes of the verdict without the suspects.

    `unchecked` says why there is no answer; then verdict and winner are None. `dev` and `test` hold the suspects' ids,
    `train` counts those of train; `not_refitted` says which strategies had used those and still do, and why; `refits`
    is what fitting the others again took.
    """

    unchecked: NoAnswer | None = None
    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    verdict: Verdict | None = None
    winner: str | None = None
    changed: bool = False
    scores: tuple[Rescored, ...] = field(default=())
    train: int = 0
    not_refitted: Mapping[str, NotRefitted] = field(default_factory=dict)
    refits: Spent = field(default_factory=Spent)


NOISE: TypeAdapter[NoiseSensitivity] = TypeAdapter(NoiseSensitivity)
NOISE_FILE = "noise.json"


def without_suspects(
    task: Task,
    decision: Decision,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    suspects: Suspects,
    config: DecisionConfig,
    prices: PriceConfig,
) -> NoiseSensitivity:
    """Return the verdict that dev and test without the suspects lead to, choice included, refits where there are any.

    Costs and latencies stay as measured; what cannot be chosen stays out. Classification only.
    """
    marked = set(suspects.ids)
    whole = max(item.n for item in dev)
    # those that left the race are compared, where they saw more than suspects
    left = [_without(item, marked, None) for item in dev if len(_ids([item], marked)) < item.n < whole]
    dropped = [drop for drop in decision.choice.dropped if drop.strategy in {item.strategy for item in left}]
    dev = [item for item in dev if item.n == whole]
    found = NoiseSensitivity(
        dev=_ids(dev, marked),
        test=_ids(test, marked),
        train=suspects.in_train,
        not_refitted=suspects.not_refitted,
        refits=suspects.spent,
    )
    if not found.dev and not found.test and not suspects.refitted:
        return found
    if too_few_left(dev, test, marked):
        return replace(found, unchecked=NoAnswer(Unchecked.TOO_FEW_LEFT))
    again = {(item.split, item.strategy): item for item in suspects.refitted}
    dev_left, test_left = (
        [_without(item, marked, again.get((item.split, item.strategy))) for item in items] for items in (dev, test)
    )
    choice = choose(
        task,
        dev_left,
        config=config,
        prices=prices,
        written_at=decision.choice.written_at,
        dropped=dropped,
        left=left,
        labels_used=decision.choice.labels_used,
    )
    choice = by_goal(choice, task, dev_left, test_left[0].n, config=config, prices=prices)
    redone = decide(task, choice, dev=dev_left, test=test_left, config=config, prices=prices, dropped=left)
    return _compared(decision, redone, found, suspects.refitted)


def too_few_left(dev: Sequence[Evaluation], test: Sequence[Evaluation], ids: Collection[str]) -> bool:
    """Return whether dev or test without the examples `ids` is too small to decide again."""
    return any(items[0].n - len(_ids(items, ids)) < FEWEST_LEFT for items in (dev, test))


def _compared(
    decision: Decision, again: Decision, found: NoiseSensitivity, refitted: Sequence[Evaluation]
) -> NoiseSensitivity:
    """Return the finding with what was decided without the suspects."""
    changed = (again.verdict, again.winner) != (decision.verdict, decision.winner)
    after = _test_scores(again)
    fitted = {item.strategy for item in refitted}
    scores = tuple(
        Rescored(name, before.value, after[name].value, name in fitted, before.seeds, after[name].seeds)
        for name, before in _test_scores(decision).items()
        if name in after
    )
    return replace(found, verdict=again.verdict, winner=again.winner, changed=changed, scores=scores)


def _ids(evaluations: Sequence[Evaluation], marked: Collection[str]) -> tuple[str, ...]:
    return tuple(prediction.id for prediction in evaluations[0].predictions if prediction.id in marked)


def _without(evaluation: Evaluation, marked: Collection[str], refitted: Evaluation | None) -> Evaluation:
    """Return the evaluation of the other examples, scored anew; with the predictions of a refit if there is one."""
    left = [index for index, prediction in enumerate(evaluation.predictions) if prediction.id not in marked]
    predictions = _at(evaluation.predictions, left)
    seeds = tuple(_at(predictions, left) for predictions in evaluation.seed_predictions)
    spread = None
    if refitted is not None:  # one draw, and never a faster or cheaper strategy: those stay as measured
        spread = _between_draws(evaluation)
        again = {prediction.id: prediction for prediction in refitted.predictions}
        predictions, seeds = tuple(again[prediction.id] for prediction in predictions), ()
    kept = replace(
        evaluation,
        predictions=predictions,
        references=_at(evaluation.references, left),
        alternatives=_at(evaluation.alternatives, left),
        groups=_at(evaluation.groups, left),
        seed_predictions=seeds,
        draw_sd=spread,
    )
    scores = kept.kind.score(
        kept.references,
        kept.answers,
        labels=kept.labels,
        alternatives=kept.alternatives,
        groups=kept.groups,
    )
    return replace(kept, scores=scores)


def _between_draws(evaluation: Evaluation) -> float | None:
    """Return the standard deviation of accuracy between the draws that there were; None for one.

    What is fitted again once is judged by that, so that the verdict does not change for want of a second draw alone.
    """
    draws = (evaluation.predictions, *evaluation.seed_predictions)
    if len(draws) == 1:
        return None
    shares = [mean(one.answer == true for one, true in zip(draw, evaluation.references, strict=True)) for draw in draws]
    return stdev(shares)


def _at(values: tuple[Value, ...], positions: Sequence[int]) -> tuple[Value, ...]:
    """Return the values at the positions; of no values, none."""
    return tuple(values[position] for position in positions) if values else ()


def _test_scores(decision: Decision) -> Mapping[str, TestScore]:
    return {result.name: result.test for result in decision.strategies if result.test}
