"""Apply the rules to judge: llmtl's own `choose` and `decide`, and four naive ones, all on the same predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from truth import Verdict
from worlds import REQUESTS, Codes, Floats, World

from llmtl import Decision, Evaluation, Prediction, Role, Task
from llmtl.costs import PriceConfig, StatedCost
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Dropped
from llmtl.decision.racing import RACED, SURELY_CHEAPER, Race, race
from llmtl.metrics import score
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.paired import mcnemar_exact
from llmtl.task import Draw, Metric

PRICES = PriceConfig(requests_per_month=REQUESTS / 12, months=12)
CONFIG = DecisionConfig()
MACRO_F1_CONFIG = DecisionConfig(resamples=1000)
INTERVAL_RESAMPLES = 200
_Z = float(ndtri(0.975))


@dataclass(frozen=True)
class Scores:
    """Scores of all strategies on one split with the ends of their 95% intervals, (K,) each, and `right` (K, n)."""

    value: Floats
    low: Floats
    high: Floats
    n: int
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class Evaluations:
    """The number of predictions on dev without a race and with it: all strategies, and the language models alone."""

    planned: int
    used: int
    planned_llm: int
    used_llm: int


def config_of(world: World) -> DecisionConfig:
    """Make the configuration that a world is decided with."""
    return CONFIG if world.metric is Metric.ACCURACY else MACRO_F1_CONFIG


def task_of(world: World) -> Task:
    """Make the task of a world."""
    return Task("world", tuple(_label(code) for code in range(len(world.answers.shares))), metric=world.metric)


def evaluations(
    world: World, split: str, drawn: tuple[Codes, Codes], *, draw: Draw | None = None
) -> tuple[Evaluation, ...]:
    """Make one evaluation per strategy; seconds, tokens and memory are constants that no rule looks at.

    Answers beyond those of the strategies are of further draws of them, in the same order. `draw` says what a draw is
    for all strategies; without it, it is a training draw of those that are tuned.
    """
    references, answers = drawn
    number = len(world.names)
    tuned = [Draw.TRAINING if world.draw_sd and role is Role.TUNING else Draw.NONE for role in world.roles]
    drawn_as = tuned if draw is None else [draw] * number
    truths = tuple(_label(code) for code in references.tolist())
    made = []
    for i, name in enumerate(world.names):
        guesses = answers[:, i].tolist()
        made.append(
            Evaluation(
                strategy=name,
                role=world.roles[i],
                split=split,
                predictions=tuple(_pool(split, code)[at] for at, code in enumerate(guesses)),
                references=truths,
                scores=_scores(world.metric, truths, [_label(code) for code in guesses]),
                seconds=None,
                p50_ms=5.0,
                p95_ms=9.0,
                train_seconds=None,
                prompt_tokens_per_request=0.0,
                cached_tokens_per_request=0.0,
                completion_tokens_per_request=0.0,
                peak_memory_gib=1.0,
                stated=StatedCost(float(world.usd_per_1k[i]) / 1000, float(world.train_usd[i])),
                draw=drawn_as[i],
                seed_predictions=tuple(
                    tuple(_pool(split, code)[at] for at, code in enumerate(answers[:, j].tolist()))
                    for j in range(i + number, answers.shape[1], number)
                    if drawn_as[i] is not Draw.NONE
                ),
            )
        )
    return tuple(made)


def llmtl(world: World, dev: Sequence[Evaluation], test: Sequence[Evaluation], *, race: Race | None = None) -> Verdict:
    """Decide as llmtl does, with `race` as after a race."""
    task, config = task_of(world), config_of(world)
    dropped = tuple(
        Dropped(name, drop.n_seen, world.n_dev, drop.against, drop.score, drop.against_score, race.expected[name])
        for name, drop in (race.dropped if race else {}).items()
    )
    left = [item for item in dev if race and item.strategy in race.dropped]
    whole = [item for item in dev if item not in left]
    choice = choose(
        task, whole, config=config, prices=PRICES, written_at="2026-11-23T00:00:00Z", dropped=dropped, left=left
    )
    planned = {name for pair in choice.comparisons for name in (pair.a, pair.b)}
    asked = planned | {item.strategy for item in whole}
    tested = [item for item in test if item.strategy in asked]
    decision = decide(task, choice, dev=whole, test=tested, config=config, prices=PRICES, dropped=left)
    return Verdict(
        verdict=decision.verdict.value,
        winner=world.names.index(decision.winner),
        beaten=_claims(world, decision),
        chosen=world.names.index(choice.strategy),
    )


def raced(world: World, drawn: tuple[Codes, Codes], config: DecisionConfig) -> Race | None:
    """Race on dev, whose examples are in random order already; None if the metric is not raced."""
    if world.metric not in RACED:
        return None
    references, answers = drawn
    right = (answers == references[:, None]).astype(np.float64)
    usd_total = dict(zip(world.names, world.usd_total, strict=True))
    return race(
        world.names,
        lambda name, positions: right[positions, world.names.index(name)],
        world.n_dev,
        block=config.racing_block,
        margin=config.margin,
        never_drop=[name for name, baseline in zip(world.names, world.is_baseline, strict=True) if baseline],
        cheaper=lambda a, b: SURELY_CHEAPER * usd_total[a] <= usd_total[b],
    )


def evaluations_of(world: World, race: Race) -> Evaluations:
    """Count the predictions on dev that the race took."""
    seen = np.array([race.dropped[name].n_seen if name in race.dropped else world.n_dev for name in world.names])
    llm = ~world.is_baseline
    return Evaluations(
        planned=race.evaluations_planned,
        used=race.evaluations_used,
        planned_llm=int(llm.sum()) * world.n_dev,
        used_llm=int(seen[llm].sum()),
    )


def naive(world: World, dev: Scores, test: Scores) -> Mapping[str, Verdict]:
    """Decide by the four naive rules."""
    return {
        "highest dev mean": _use(world, _highest(dev, np.arange(len(world.names)))),
        "highest test mean": _use(world, _highest(test, np.arange(len(world.names)))),
        "unpaired z-test": _use(world, _by_z_test(world, test)),
        "plain McNemar test": _use(world, _by_mcnemar(world, test)),
        "non-overlapping intervals": _use(world, _by_intervals(world, test)),
    }


def scores_of(world: World, made: Sequence[Evaluation]) -> Scores:
    """Compute the scores that the naive rules look at."""
    found = [item.scores[world.metric.value] for item in made]
    columns = ([item.value for item in found], [item.low for item in found], [item.high for item in found])
    right = np.array([[p.answer == r for p, r in zip(i.predictions, i.references, strict=True)] for i in made])
    return Scores(*(np.array(column) for column in columns), n=made[0].n, right=right)


def _claims(world: World, decision: Decision) -> tuple[int, ...]:
    """List what `adopt` says the winner is better than: the best baseline on dev, and the cheaper rivals compared."""
    winner, cost = world.names.index(decision.winner), world.usd_total
    compared = {
        name for item in decision.comparisons for name in (item.a, item.b) if decision.winner in (item.a, item.b)
    }
    others = [world.names.index(name) for name in compared - {decision.winner}]
    return tuple(
        i
        for i in others
        if world.names[i] == decision.choice.best_baseline or (not world.is_baseline[i] and cost[i] < cost[winner])
    )


def _baseline(world: World, test: Scores) -> int:
    """Find the best baseline; where there is none, the cheapest strategy takes its place."""
    found = np.flatnonzero(world.is_baseline)
    return _highest(test, found) if len(found) else int(np.argmin(world.usd_total))


def _by_mcnemar(world: World, test: Scores) -> int:
    """Choose the highest of those better than the best baseline by an exact McNemar test, or that baseline."""
    baseline = _baseline(world, test)
    better = np.array(
        [
            test.value[i] > test.value[baseline]
            and mcnemar_exact(int((each & ~test.right[baseline]).sum()), int((test.right[baseline] & ~each).sum()))
            <= 0.05
            for i, each in enumerate(test.right)
        ]
    )
    return _highest(test, np.flatnonzero(better & ~world.is_baseline), otherwise=baseline)


def _by_z_test(world: World, test: Scores) -> int:
    """Choose the highest of those significantly better than the best baseline, or that baseline."""
    baseline = _baseline(world, test)
    if world.metric is Metric.ACCURACY:
        pooled = (test.value + test.value[baseline]) / 2
        error = np.sqrt(np.maximum(2 * pooled * (1 - pooled) / test.n, 1e-12))
    else:
        width = (test.high - test.low) / (2 * _Z)
        error = np.maximum(np.hypot(width, width[baseline]), 1e-6)
    better = (test.value - test.value[baseline]) / error >= _Z
    return _highest(test, np.flatnonzero(better & ~world.is_baseline), otherwise=baseline)


def _by_intervals(world: World, test: Scores) -> int:
    """Choose the highest language-model strategy if its interval lies above the best baseline's, or that baseline."""
    baseline = _baseline(world, test)
    best = _highest(test, np.flatnonzero(~world.is_baseline))
    return best if test.low[best] > test.high[baseline] else baseline


def _highest(scores: Scores, among: Codes, otherwise: int = -1) -> int:
    """Find the strategy with the highest score, the first in table order of equal ones."""
    return int(among[np.argmax(scores.value[among])]) if len(among) else otherwise


def _use(world: World, winner: int) -> Verdict:
    """Make a naive verdict: using a language model means to adopt it."""
    return Verdict("baseline" if world.is_baseline[winner] else "adopt", winner)


def _scores(metric: Metric, truths: Sequence[str], guesses: Sequence[str]) -> Mapping[str, Interval]:
    if metric is not Metric.ACCURACY:
        return score(truths, guesses, resamples=INTERVAL_RESAMPLES)
    right = sum(guess == truth for guess, truth in zip(guesses, truths, strict=True))
    return {Metric.ACCURACY.value: wilson(right, len(truths))}


def _label(code: int) -> str:
    return f"label-{code}"


@cache
def _pool(split: str, code: int) -> tuple[Prediction, ...]:
    """Keep predictions of one label for every position: building them anew is most of a world's time."""
    return tuple(Prediction(id=f"{split}-{at}", answer=_label(code)) for at in range(2000))
