"""Judge the choice by the share that can be left to a strategy (`decision.goal: automate`), in tasks of known truth.

`selective.py` makes the tasks and writes the result; the README beside this file explains the design.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr
from summary import mean, rate

from llmtl import Role
from llmtl.costs import PriceConfig, StatedCost
from llmtl.decision.automation import automated, fix_ladders, marked
from llmtl.decision.beliefs import regrets
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Decision, Verdict
from llmtl.decision.promise import Promise
from llmtl.decision.ranking import Ranking
from llmtl.decision.share_beliefs import ShareBeliefs
from llmtl.decision.share_choice import by_goal
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import wilson
from llmtl.metrics.paired import mcnemar_exact
from llmtl.metrics.selective import TestAhead, most_errors, risk_curve
from llmtl.task import Metric, Task

CONFIG = DecisionConfig(goal=Goal.AUTOMATE, resamples=2000)
PRICES = PriceConfig()
TASK = Task("selective", ("right", "wrong"))
BASELINE = "s0"
"""The first strategy is the baseline, and with a chance of `TWINS` the second is left exactly as much as it."""
TWINS = 0.5
COPIED = 0.5
"""How many answers a twin shares with its model; the others are drawn from the same population, so nothing differs."""
USD_PER_1K = {True: (1e-4, 1e-2), False: (1e-2, 1.0)}
"""What a baseline and others cost, log-uniform, as in the other worlds."""
RULES = ("llmtl", "llmtl's choice on dev", "largest share on dev", "highest score on dev", "largest share confirmed")
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Json = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """Confidences of one strategy on some inputs, and whether each answer is right."""

    confidence: Floats
    right: Bools


Make = Callable[[str, str, Drawn], Evaluation]


@dataclass(frozen=True)
class GoalJudged:
    """One task decided by shares: by rule the regret in share, raw and with the margin charged; and what was said.

    `could` is in shares that could truly be left to a strategy, `ahead` in shares that a test of this size is expected
    to confirm at the thresholds of dev. A false adopt is one where the winner's is not larger than the baseline's.
    """

    could: Mapping[str, tuple[float, float]]
    ahead: Mapping[str, float]
    verdict: str
    adopted: bool
    false_promise: bool
    false_ahead: bool
    false_could: bool
    mcnemar_adopts: bool
    mcnemar_false: bool
    intervals: tuple[bool, ...]


@dataclass(frozen=True)
class World:
    """Strategies with what is true of them: the share that could be left, and the one that test should confirm."""

    names: tuple[str, ...]
    dev: tuple[Evaluation, ...]
    test: tuple[Evaluation, ...]
    could: Floats
    ahead: Floats


def judge_goal(
    seed: tuple[int, ...], drawn: Mapping[str, Drawn], sizes: tuple[int, int], *, make: Make
) -> GoalJudged | None:
    """Judge one task; None where there is one strategy only."""
    if len(drawn) < 2:
        return None
    rng = np.random.default_rng(seed)
    world, populations = _world(drawn, sizes, rng, make=make)
    found = _decide(world)
    names = world.names
    picks = (
        names.index(found.winner),
        names.index(found.chosen_before_test),
        int(np.argmax([_share_on_dev(item) for item in world.dev])),
        int(np.argmax([item.scores["accuracy"].value for item in world.dev])),
        _most_confirmed(world, found),
    )
    charged = regrets(world.could, _cheaper(world), CONFIG.margin)
    adopted, winner, baseline = found.verdict is Verdict.ADOPT, picks[0], names.index(BASELINE)
    mcnemar, chosen = _mcnemar(world, found), picks[1]
    return GoalJudged(
        could={
            name: (float(world.could.max() - world.could[pick]), float(charged[pick]))
            for name, pick in zip(RULES, picks, strict=True)
        },
        ahead={name: float(world.ahead.max() - world.ahead[pick]) for name, pick in zip(RULES, picks, strict=True)},
        verdict=found.verdict.value,
        adopted=adopted,
        false_promise=adopted and _errs(found, populations[found.winner]) > CONFIG.max_error_automated,
        false_ahead=adopted and bool(world.ahead[winner] <= world.ahead[baseline]),
        false_could=adopted and bool(world.could[winner] <= world.could[baseline]),
        mcnemar_adopts=mcnemar,
        mcnemar_false=mcnemar and bool(world.could[chosen] <= world.could[baseline]),
        intervals=_held(world, found),
    )


def _world(
    drawn: Mapping[str, Drawn], sizes: tuple[int, int], rng: np.random.Generator, *, make: Make
) -> tuple[World, dict[str, Drawn]]:
    """Give the strategies roles, costs and perhaps a twin, and find out what is true of them."""
    total = sum(sizes)
    drawn = dict(drawn)
    if rng.random() < TWINS:
        drawn["s1"] = _twin(drawn[BASELINE], total, rng)
    made: dict[str, list[Evaluation]] = {"dev": [], "test": []}
    for name, item in drawn.items():
        usd = float(np.exp(rng.uniform(*np.log(USD_PER_1K[name == BASELINE]))))
        for split, items in made.items():
            items.append(_dressed(make(name, split, item), usd))
    populations: dict[str, Drawn] = {
        name: Drawn(item.confidence[total:], item.right[total:]) for name, item in drawn.items()
    }
    beliefs = ShareBeliefs.fixed_on(made["dev"], sizes[1], metric=Metric.ACCURACY, config=CONFIG)
    ahead = [_ahead(populations[name], beliefs.ladders[name].thresholds, beliefs.ahead) for name in drawn]
    could = np.array([oracle_share(populations[name]) for name in drawn])
    return World(tuple(drawn), tuple(made["dev"]), tuple(made["test"]), could, np.array(ahead)), populations


def _twin(item: Drawn, total: int, rng: np.random.Generator) -> Drawn:
    """Draw another strategy of the same population, which it keeps."""
    other = rng.integers(total, len(item.right), size=total)
    copied = rng.random(total) < COPIED
    confidence, right = item.confidence.copy(), item.right.copy()
    confidence[:total] = np.where(copied, item.confidence[:total], item.confidence[other])
    right[:total] = np.where(copied, item.right[:total], item.right[other])
    return Drawn(confidence, right)


def _dressed(made: Evaluation, usd: float) -> Evaluation:
    right = sum(prediction.answer == "right" for prediction in made.predictions)
    named = tuple(replace(item, id=f"{made.split}-{place}") for place, item in enumerate(made.predictions))
    return replace(
        made,
        predictions=named,
        role=Role.BASELINE if made.strategy == BASELINE else Role.PROMPTING,
        scores={"accuracy": wilson(right, made.n)},
        stated=StatedCost(usd / 1000, 0.0),
    )


def _decide(world: World) -> Decision:
    choice = choose(TASK, world.dev, config=CONFIG, prices=PRICES, written_at="2026-11-27T00:00:00Z")
    choice = by_goal(choice, TASK, world.dev, world.test[0].n, config=CONFIG, prices=PRICES)
    return decide(TASK, choice, dev=world.dev, test=world.test, config=CONFIG, prices=PRICES)


def _ahead(population: Drawn, thresholds: Sequence[float], ahead: TestAhead) -> float:
    """Compute the share that a test is expected to confirm, by the errors among the whole population."""
    most, found, before, chance = most_errors(ahead), 0.0, 0.0, 1.0
    for threshold in thresholds:
        through = population.confidence >= threshold
        share = float(through.mean())
        answers = round(ahead.n * share)
        error = float((~population.right[through]).mean()) if through.any() else 1.0
        passes = float(bdtr(most[answers], answers, error)) if most[answers] >= 0 else 0.0
        chance = min(chance, passes)
        found += (share - before) * chance
        before = share
    return found


def _share_on_dev(item: Evaluation) -> float:
    """Compute the largest share of dev with an error of at most the limit."""
    points = risk_curve(marked(item), most=item.n)
    return max((share for share, error in points if error <= CONFIG.max_error_automated), default=0.0)


def _most_confirmed(world: World, found: Decision) -> int:
    shares = {item.strategy: item.share or 0.0 for item in found.automation if item.promise is Promise.SHOWN}
    best = max(world.names, key=lambda name: shares.get(name, 0.0))
    return world.names.index(best if shares else found.chosen_before_test)


def oracle_share(population: Drawn) -> float:
    """Compute the largest share that truly holds the limit at some threshold."""
    order = np.argsort(-population.confidence)
    confidence = population.confidence[order]
    share = np.cumsum(~population.right[order]) / np.arange(1, len(order) + 1)
    ends = np.append(confidence[1:] != confidence[:-1], True)
    good = np.flatnonzero((share <= CONFIG.max_error_automated) & ends)
    return float(good[-1] + 1) / len(order) if len(good) else 0.0


def _cheaper(world: World) -> Bools:
    ranking = Ranking(world.dev, Metric.ACCURACY, PRICES)
    return np.array([[ranking.cheaper(a, b) for b in world.names] for a in world.names], dtype=bool)


def _errs(found: Decision, population: Drawn) -> float:
    row = next(item for item in found.automation if item.strategy == found.winner)
    through = population.confidence >= (row.threshold or 0.0)
    return float((~population.right[through]).mean()) if through.any() else 0.0


def _mcnemar(world: World, found: Decision) -> bool:
    """Say whether McNemar's test of what is answered at confirmed thresholds, both at alpha, adopts the choice."""
    chosen = found.chosen_before_test
    if chosen == BASELINE:
        return False
    answered = []
    for name in (chosen, BASELINE):
        dev, test = (next(item for item in items if item.strategy == name) for items in (world.dev, world.test))
        ladders = fix_ladders([dev], test.n, metric=Metric.ACCURACY, chosen=name, config=CONFIG)
        (row,) = automated(ladders, {name: test}, config=CONFIG)
        through = marked(test).let_through(row.threshold or 0.0)
        answered.append(through if row.promise is Promise.SHOWN else through & False)
    ours, theirs = int((answered[0] & ~answered[1]).sum()), int((answered[1] & ~answered[0]).sum())
    return ours > theirs and mcnemar_exact(ours, theirs) <= CONFIG.alpha


def _held(world: World, found: Decision) -> tuple[bool, ...]:
    """Say of each comparison whether its 95% interval holds the true difference."""
    truth = dict(zip(world.names, world.ahead.tolist(), strict=True))
    return tuple(
        item.ci95[0] - 1e-9 <= truth[item.a] - truth[item.b] <= item.ci95[1] + 1e-9 for item in found.share_comparisons
    )


def summarise_goal(found: Sequence[GoalJudged]) -> Json:
    """Compute what is reported of the goal."""
    adopts = [item for item in found if item.adopted]
    return {
        "tasks": len(found),
        "verdicts": {name.value: rate(item.verdict == name.value for item in found)["rate"] for name in Verdict},
        "false_adopt": {
            "promise": rate(item.false_promise for item in found),
            "share_a_test_confirms": rate(item.false_ahead for item in found),
            "share_that_could_be_left": rate(item.false_could for item in found),
            "of_adopts": rate(item.false_could for item in adopts),
        },
        "mcnemar_at_confirmed_thresholds": {
            "adopts": rate(item.mcnemar_adopts for item in found)["rate"],
            "false_adopt": rate(item.mcnemar_false for item in found),
        },
        "difference_interval_holds": rate(held for item in found for held in item.intervals),
        "rules": {
            name: {
                "regret_points": mean(100 * item.could[name][0] for item in found),
                "regret_with_the_margin_charged_points": mean(100 * item.could[name][1] for item in found),
                "regret_in_what_a_test_confirms_points": mean(100 * item.ahead[name] for item in found),
            }
            for name in RULES
        },
    }


def goal_bars(result: Json) -> dict[str, bool]:
    """Tell whether false adopts keep their level, and whether the choice forgoes less than simple rules do."""
    confirmed = {name: row["regret_in_what_a_test_confirms_points"]["mean"] for name, row in result["rules"].items()}
    return {
        "goal automate: false adopts at most 5%": result["false_adopt"]["share_that_could_be_left"]["rate"]
        <= CONFIG.alpha,
        **{
            f"goal automate: forgoes less of what a test confirms than {name}": confirmed["llmtl"] < confirmed[name]
            for name in ("largest share on dev", "highest score on dev")
        },
    }


def goal_text(result: Json) -> list[str]:
    """Write the result as a few lines to read."""
    lines = [f"goal automate, {result['tasks']} tasks: verdicts {result['verdicts']}"]
    lines += [f"  false adopt, {name}: {100 * (row['rate'] or 0):.2f}%" for name, row in result["false_adopt"].items()]
    mcnemar = result["mcnemar_at_confirmed_thresholds"]
    lines += [f"  McNemar: adopts {100 * mcnemar['adopts']:.1f}%, falsely {100 * mcnemar['false_adopt']['rate']:.2f}%"]
    lines += [f"  interval of a difference holds {100 * result['difference_interval_holds']['rate']:.1f}%"]
    for name, row in result["rules"].items():
        lines.append(f"  {name:26}" + "".join(f"{figure['mean']:8.2f}" for figure in row.values()))
    return lines
