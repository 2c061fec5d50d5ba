"""Whether the verdict rests on labels that look wrong: decided again without the suspects.

Not covered: finding suspects (`llmtl.checks.label_noise`); fitting again without the suspects in train.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pydantic import TypeAdapter

from llmtl.costs import PriceConfig
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Decision, Verdict
from llmtl.evaluation import Evaluation
from llmtl.metrics import score
from llmtl.task import Task

Value = TypeVar("Value")
FEWEST_LEFT = 10
"""With fewer dev or test examples left, deciding again says nothing."""


@dataclass(frozen=True)
class Suspects:
    """Examples whose label looks wrong, and how they were found."""

    ids: frozenset[str]
    how: str


@dataclass(frozen=True)
class Rescored:
    """The test score of one strategy with and without the suspects."""

    strategy: str
    before: float
    after: float


@dataclass(frozen=True)
class NoiseSensitivity:
    """What becomes of the verdict without the suspects.

    `unchecked` says why there is no answer; then verdict and winner are None. `dev` and `test` hold the suspects' ids.
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
    hosted: Collection[str] = (),
) -> NoiseSensitivity:
    """Return the verdict that dev and test without the suspects lead to, choice included.

    Costs and latencies stay as measured; what cannot be chosen stays out. Classification only.
    """
    whole = max(item.n for item in dev)
    dev = [item for item in dev if item.n == whole]  # without those that left the race on dev
    marked, how = set(suspects.ids), suspects.how
    found = {split: _ids(items, marked) for split, items in (("dev", dev), ("test", test))}
    if not found["dev"] and not found["test"]:
        return NoiseSensitivity(how, sentence="No label of dev or test looks wrong, so the verdict rests on none.")
    if any(len(ids) > items[0].n - FEWEST_LEFT for ids, items in ((found["dev"], dev), (found["test"], test))):
        return NoiseSensitivity(how, "too few dev or test examples would be left", found["dev"], found["test"])
    dev_left = [_without(item, marked) for item in dev]
    test_left = [_without(item, marked) for item in test]
    choice = choose(task, dev_left, config=config, prices=prices, written_at=decision.choice.written_at, hosted=hosted)
    again = decide(task, choice, dev=dev_left, test=test_left, config=config, prices=prices)
    return _compared(decision, again, NoiseSensitivity(how, None, found["dev"], found["test"]))


def _compared(decision: Decision, again: Decision, found: NoiseSensitivity) -> NoiseSensitivity:
    """Return the finding with what was decided before and after."""
    changed = (again.verdict, again.winner) != (decision.verdict, decision.winner)
    after = _test_scores(again)
    scores = tuple(
        Rescored(name, before, after[name]) for name, before in _test_scores(decision).items() if name in after
    )
    marked = f"the {len(found.dev)} dev and {len(found.test)} test examples whose labels look wrong"
    if changed:
        text = (
            f"Without {marked}, the verdict would be {again.verdict.value}, {again.winner}, in place of "
            f"{decision.verdict.value}, {decision.winner}: have those labels read over."
        )
    else:
        text = f"Without {marked}, the verdict is the same: {again.verdict.value}, {again.winner}."
    return replace(found, verdict=again.verdict, winner=again.winner, changed=changed, scores=scores, sentence=text)


def _ids(evaluations: Sequence[Evaluation], marked: set[str]) -> tuple[str, ...]:
    return tuple(prediction.id for prediction in evaluations[0].predictions if prediction.id in marked)


def _without(evaluation: Evaluation, marked: set[str]) -> Evaluation:
    """Return the evaluation of the other examples, scored anew."""
    left = [index for index, prediction in enumerate(evaluation.predictions) if prediction.id not in marked]
    kept = replace(
        evaluation,
        predictions=_at(evaluation.predictions, left),
        references=_at(evaluation.references, left),
        alternatives=_at(evaluation.alternatives, left),
        groups=_at(evaluation.groups, left),
        seed_predictions=tuple(_at(predictions, left) for predictions in evaluation.seed_predictions),
    )
    scores = score(
        kept.references,
        kept.answers,
        kind=kept.kind,
        labels=kept.labels,
        alternatives=kept.alternatives,
        groups=kept.groups,
    )
    return replace(kept, scores=scores)


def _at(values: tuple[Value, ...], positions: Sequence[int]) -> tuple[Value, ...]:
    """Return the values at the positions; of no values, none."""
    return tuple(values[position] for position in positions) if values else ()


def _test_scores(decision: Decision) -> Mapping[str, float]:
    return {result.name: result.test.value for result in decision.strategies if result.test}
