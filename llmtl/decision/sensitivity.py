"""Whether the verdict rests on labels that look wrong: decided again without the suspects.

Not covered: finding suspects (`llmtl.checks.label_noise`); fitting again without those in train
(`llmtl.pipeline.refit`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import TypeAdapter

from llmtl.costs import PriceConfig, Spent
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Decision, TestScore, Verdict
from llmtl.measured.evaluation import Evaluation
from llmtl.task import Task

Value = TypeVar("Value")
FEWEST_LEFT = 10
"""With fewer dev or test examples left, deciding again says nothing."""


@dataclass(frozen=True)
class Suspects:
    """Examples whose label looks wrong, and how they were found.

    `refitted` are evaluations, on what is left of dev and test, of strategies fitted without the `in_train` suspects,
    once each; `not_refitted` says why others that used them were not, `spent` what fitting again took.
    """

    ids: frozenset[str]
    how: str
    in_train: int = 0
    refitted: tuple[Evaluation, ...] = ()
    not_refitted: Mapping[str, str] = field(default_factory=dict)
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

    how: str
    unchecked: str | None = None
    dev: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    verdict: Verdict | None = None
    winner: str | None = None
    changed: bool = False
    scores: tuple[Rescored, ...] = field(default=())
    sentence: str = ""
    train: int = 0
    not_refitted: Mapping[str, str] = field(default_factory=dict)
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
    marked, how = set(suspects.ids), suspects.how
    whole = max(item.n for item in dev)
    # those that left the race are compared, where they saw more than suspects
    left = [_without(item, marked, None) for item in dev if len(_ids([item], marked)) < item.n < whole]
    dropped = [drop for drop in decision.choice.dropped if drop.strategy in {item.strategy for item in left}]
    dev = [item for item in dev if item.n == whole]
    found = NoiseSensitivity(
        how,
        None,
        _ids(dev, marked),
        _ids(test, marked),
        train=suspects.in_train,
        not_refitted=suspects.not_refitted,
        refits=suspects.spent,
    )
    if not found.dev and not found.test and not suspects.refitted:
        return replace(found, sentence=_rests_on_none(suspects))
    if too_few_left(dev, test, marked):
        return replace(found, unchecked="too few dev or test examples would be left")
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
    )
    redone = decide(task, choice, dev=dev_left, test=test_left, config=config, prices=prices, dropped=left)
    return _compared(decision, redone, found, suspects)


def too_few_left(dev: Sequence[Evaluation], test: Sequence[Evaluation], ids: Collection[str]) -> bool:
    """Return whether dev or test without the examples `ids` is too small to decide again."""
    return any(items[0].n - len(_ids(items, ids)) < FEWEST_LEFT for items in (dev, test))


def _rests_on_none(suspects: Suspects) -> str:
    if not suspects.not_refitted:
        return "No label of dev or test looks wrong, so the verdict rests on none."
    return (
        f"No label of dev or test looks wrong; without the {_counted(suspects.in_train, 'train')} whose label does "
        f"nothing was fitted again: {_not_refitted(suspects)}."
    )


def _compared(decision: Decision, again: Decision, found: NoiseSensitivity, suspects: Suspects) -> NoiseSensitivity:
    """Return the finding with what was decided before and after."""
    changed = (again.verdict, again.winner) != (decision.verdict, decision.winner)
    after = _test_scores(again)
    fitted = {item.strategy for item in suspects.refitted}
    scores = tuple(
        Rescored(name, before.value, after[name].value, name in fitted, before.seeds, after[name].seeds)
        for name, before in _test_scores(decision).items()
        if name in after
    )
    before_text, after_text = (f"{item.verdict.value}, {item.winner}" for item in (decision, again))
    result = (
        f"would be {after_text}, in place of {before_text}: have those labels read over."
        if changed
        else f"is the same: {after_text}."
    )
    text = f"Without {_marked(found)}, the verdict {result}{_refits(suspects, scores)}"
    return replace(found, verdict=again.verdict, winner=again.winner, changed=changed, scores=scores, sentence=text)


def _marked(found: NoiseSensitivity) -> str:
    parts = [(found.train, "train"), (len(found.dev), "dev"), (len(found.test), "test")]
    listed = [f"{count:,} {name}" for count, name in parts if count]
    one = sum(count for count, _ in parts) == 1
    return f"the {_listed(listed)} {'example whose label looks' if one else 'examples whose labels look'} wrong"


def _refits(suspects: Suspects, scores: Sequence[Rescored]) -> str:
    """Return what was fitted again, with how many seeds, and what was not, as further sentences."""
    names = sorted(item.strategy for item in scores if item.refitted)
    done = f" {_listed(names)} {_was(names)} fitted again without those of train." if names else ""
    done += "".join(
        f" {item.strategy} was so with one training seed, where the verdict rests on {item.seeds}: part of its change "
        "may be the seed's."
        for item in scores
        if item.refitted and item.seeds > item.seeds_after
    )
    return f"{done} Not fitted again: {_not_refitted(suspects)}." if suspects.not_refitted else done


def _not_refitted(suspects: Suspects) -> str:
    return "; ".join(f"{name}, as {why}" for name, why in suspects.not_refitted.items())


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name} example{'s' if count > 1 else ''}"


def _ids(evaluations: Sequence[Evaluation], marked: Collection[str]) -> tuple[str, ...]:
    return tuple(prediction.id for prediction in evaluations[0].predictions if prediction.id in marked)


def _without(evaluation: Evaluation, marked: Collection[str], refitted: Evaluation | None) -> Evaluation:
    """Return the evaluation of the other examples, scored anew; with the predictions of a refit if there is one."""
    left = [index for index, prediction in enumerate(evaluation.predictions) if prediction.id not in marked]
    predictions = _at(evaluation.predictions, left)
    seeds = tuple(_at(predictions, left) for predictions in evaluation.seed_predictions)
    if refitted is not None:  # one training seed, and never a faster or cheaper strategy: those stay as measured
        again = {prediction.id: prediction for prediction in refitted.predictions}
        predictions, seeds = tuple(again[prediction.id] for prediction in predictions), ()
    kept = replace(
        evaluation,
        predictions=predictions,
        references=_at(evaluation.references, left),
        alternatives=_at(evaluation.alternatives, left),
        groups=_at(evaluation.groups, left),
        seed_predictions=seeds,
    )
    scores = kept.kind.score(
        kept.references,
        kept.answers,
        labels=kept.labels,
        alternatives=kept.alternatives,
        groups=kept.groups,
    )
    return replace(kept, scores=scores)


def _at(values: tuple[Value, ...], positions: Sequence[int]) -> tuple[Value, ...]:
    """Return the values at the positions; of no values, none."""
    return tuple(values[position] for position in positions) if values else ()


def _test_scores(decision: Decision) -> Mapping[str, TestScore]:
    return {result.name: result.test for result in decision.strategies if result.test}
