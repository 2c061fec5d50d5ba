"""Test whether "it errs in at most 5% of what it answers alone" is true when it is said.

    python evals/verdicts/selective.py

Tasks whose true error at every threshold is known, from a population of 100,000 inputs each; the README beside this
file explains the design. Every task draws from its own seed, so that it is the same whatever the number of workers.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from goal import Drawn, GoalJudged, goal_bars, goal_text, judge_goal, oracle_share, summarise_goal
from numpy.typing import NDArray
from scipy.special import expit
from summary import mean, rate

from llmtl import Role
from llmtl.decision.automation import automated, fix_ladders, marked
from llmtl.decision.config import DecisionConfig
from llmtl.decision.promise import Promise
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.selective import Marked, errors_among
from llmtl.strategy import Prediction
from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "selective"
SEED = 20261127
LIMIT = DecisionConfig().max_error_automated
ALPHA = DecisionConfig().alpha
SIZES = ((100, 100), (100, 300), (300, 300), (300, 1000), (1000, 1000), (1000, 2000))
"""Numbers of dev and of test examples."""
STRATEGIES = (1, 6)
POPULATION = 100_000
GOAL_EVERY, GOAL_OF = 6, 18
"""Of so many tasks in a row the first so many are also decided by shares: all sizes alike, within the time."""
GROUP = 8
"""Groups have 1 to so many examples."""
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Json = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One task to make and decide on."""

    kind: str
    n_dev: int
    n_test: int
    seed: tuple[int, int]


@dataclass(frozen=True)
class Said:
    """What a rule said of one strategy, and what is true; shares are 0 where it leaves nothing to it."""

    share: float
    error: float

    @property
    def false(self) -> bool:
        """Tell whether something is left to it, and it truly errs more often than is allowed."""
        return self.share > 0 and self.error > LIMIT


@dataclass(frozen=True)
class Judged:
    """One task: what is said of the strategy that dev chose and of the others, and by simpler rules of the chosen."""

    order: Order
    chosen: Said
    others: tuple[Said, ...]
    oracle: float
    interval_holds: bool | None
    promise: str
    simpler: dict[str, Said]
    goal: GoalJudged | None

    @property
    def widest(self) -> Said:
        """The strategy of which the largest share is said to be safe."""
        return max((self.chosen, *self.others), key=lambda said: said.share)


def sharp(s: Floats, easy: float, _rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Confidence orders well, the surest answers are hardly ever wrong."""
    return expit(s + easy), s


def ceiling(s: Floats, easy: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Some errors come at any confidence (wrong labels): 0 to 8% of the surest."""
    return (1 - rng.uniform(0, 0.08)) * expit(s + easy), s


def border(s: Floats, _easy: float, _rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The surest half errs in just more than the limit at any threshold: the worst case for a false promise."""
    return np.where(s > np.median(s), 1 - LIMIT - 0.0005, 0.6), s


def flat(s: Floats, _easy: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Confidence has nothing to do with being right."""
    return np.full(len(s), rng.uniform(0.85, 0.99)), s


def coarse(s: Floats, easy: float, _rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Confidence has a few values only, as that of votes has."""
    return expit(s + easy), np.round(s / 1.5)


KINDS: dict[str, Callable[[Floats, float, np.random.Generator], tuple[Floats, Floats]]] = {
    "sharp": sharp,
    "ceiling": ceiling,
    "border": border,
    "flat": flat,
    "coarse": coarse,
    "tuned-on-dev": sharp,  # a third of the errors on dev are gone, because something was fitted to it
    "grouped": ceiling,  # examples of a group are right or wrong together more often than others
}


def main() -> int:
    """Measure and write the result; the exit code says whether the bars are met."""
    options = _options()
    start = time.perf_counter()
    wanted = orders(options.tasks, options.seed)
    found = written_results.in_processes(judged, wanted, workers=options.workers, chunksize=8)
    result = {
        "what": "promises about the error of what is left to a strategy, in tasks whose truth is known",
        **written_results.circumstances(["evals/verdicts/selective.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "design": {
            "seed": options.seed,
            "tasks_of_each_kind": options.tasks,
            "limit": LIMIT,
            "alpha": ALPHA,
            "dev_and_test": SIZES,
            "population": POPULATION,
        },
        **summarise(found),
    }
    print(text(result))
    print(written_results.write_result(options.name, result).name)
    return 0 if all(result["bars"].values()) else 1


def orders(count: int, seed: int) -> list[Order]:
    """List `count` tasks of every kind, the sizes in turn."""
    kinds = [kind for kind in KINDS for _ in range(count)]
    return [Order(kind, *SIZES[number % len(SIZES)], (seed, number)) for number, kind in enumerate(kinds)]


def judged(order: Order) -> Judged:
    """Make one task, decide what can be left to each strategy, and hold it against the truth."""
    rng = np.random.default_rng(order.seed)
    names = [f"s{number}" for number in range(rng.integers(STRATEGIES[0], STRATEGIES[1] + 1))]
    total = order.n_dev + order.n_test
    groups = _groups(order, rng)
    shared = rng.normal(size=total + POPULATION)
    drawn = {name: _strategy(order, shared, groups, rng) for name in names}
    parts = {"dev": slice(0, order.n_dev), "test": slice(order.n_dev, total)}
    seen = {
        split: [_evaluation(name, split, drawn[name], part, groups) for name in names] for split, part in parts.items()
    }
    if order.kind == "tuned-on-dev":
        seen["dev"] = [_flattered(item, rng) for item in seen["dev"]]
    chosen = max(seen["dev"], key=lambda item: sum(answer == "right" for answer in item.answers)).strategy
    config = DecisionConfig()
    ladders = fix_ladders(seen["dev"], order.n_test, metric=Metric.ACCURACY, chosen=chosen, config=config)
    found = {
        item.strategy: item
        for item in automated(ladders, {item.strategy: item for item in seen["test"]}, config=config)
    }
    truths = {name: Drawn(item.confidence[total:], item.right[total:]) for name, item in drawn.items()}
    said = {
        name: _truth(truths[name], item.threshold if item.promise is Promise.SHOWN else None)
        for name, item in found.items()
    }
    row, at = found[chosen], names.index(chosen)
    holds = None
    if row.threshold is not None and row.share_ci95 is not None:
        holds = row.share_ci95[0] <= _truth(truths[chosen], row.threshold).share <= row.share_ci95[1]
    return Judged(
        order=order,
        chosen=said[chosen],
        others=tuple(item for name, item in said.items() if name != chosen),
        oracle=oracle_share(truths[chosen]),
        interval_holds=holds,
        promise=row.promise.value,
        simpler=_simpler(marked(seen["dev"][at]), marked(seen["test"][at]), truths[chosen]),
        goal=_goal(order, drawn, groups),
    )


def _goal(order: Order, drawn: dict[str, Drawn], groups: NDArray[np.int64]) -> GoalJudged | None:
    """Judge the choice by shares in the same task; where dev flatters nobody, and examples are independent."""
    if order.kind in ("tuned-on-dev", "grouped") or order.seed[1] % GOAL_OF >= GOAL_EVERY:
        return None
    parts = {"dev": slice(0, order.n_dev), "test": slice(order.n_dev, order.n_dev + order.n_test)}
    return judge_goal(
        (*order.seed, 1),
        drawn,
        (order.n_dev, order.n_test),
        make=lambda name, split, item: _evaluation(name, split, item, parts[split], groups),
    )


def _groups(order: Order, rng: np.random.Generator) -> NDArray[np.int64]:
    total = order.n_dev + order.n_test + POPULATION
    if order.kind != "grouped":
        return np.arange(total)
    sizes = rng.integers(1, GROUP + 1, size=total)
    codes = np.repeat(np.arange(total), sizes)[:total]
    # no group on both sides of a cut
    for cut in (order.n_dev, order.n_dev + order.n_test):
        codes[cut:] += codes[cut - 1] + 1
    return codes


def _strategy(order: Order, shared: Floats, groups: NDArray[np.int64], rng: np.random.Generator) -> Drawn:
    """Draw one strategy: how sure it is and whether it is right depend on an input's ease, part of which is shared."""
    own = rng.uniform(0.2, 0.9)
    s = rng.uniform(0.5, 3) * (np.sqrt(own) * rng.normal(size=len(shared)) + np.sqrt(1 - own) * shared)
    chance, confidence = KINDS[order.kind](s, rng.uniform(0.5, 5), rng)
    luck = rng.random(len(s))
    if order.kind == "grouped":
        common = rng.random(int(groups.max()) + 1)[groups]
        luck = np.where(rng.random(len(s)) < rng.uniform(0, 0.8), common, luck)
    noise = 0.0 if order.kind in ("border", "coarse") else rng.uniform(0, 1)
    shown = expit(rng.uniform(0.5, 3) * (confidence + noise * rng.normal(size=len(s))))
    return Drawn(shown, luck < chance)


def _evaluation(name: str, split: str, drawn: Drawn, part: slice, groups: NDArray[np.int64]) -> Evaluation:
    right, confidence = drawn.right[part].tolist(), drawn.confidence[part].tolist()
    codes = groups[part]
    several = len(np.unique(codes)) < len(codes)
    return Evaluation(
        strategy=name,
        role=Role.PROMPTING,
        split=split,
        predictions=tuple(
            Prediction("", "right" if hit else "wrong", confidence=value)
            for hit, value in zip(right, confidence, strict=True)
        ),
        references=("right",) * len(right),
        scores={},
        seconds=None,
        p50_ms=None,
        p95_ms=None,
        train_seconds=None,
        prompt_tokens_per_request=0,
        cached_tokens_per_request=0,
        completion_tokens_per_request=0,
        peak_memory_gib=None,
        labels=("right", "wrong"),
        groups=tuple(map(str, codes)) if several else (),
    )


def _flattered(dev: Evaluation, rng: np.random.Generator) -> Evaluation:
    from dataclasses import replace

    fixed = tuple(
        replace(item, answer="right") if item.answer == "wrong" and rng.random() < 1 / 3 else item
        for item in dev.predictions
    )
    return replace(dev, predictions=fixed)


def _truth(population: Drawn, threshold: float | None) -> Said:
    if threshold is None:
        return Said(0.0, 0.0)
    through = population.confidence >= threshold
    return Said(float(through.mean()), float((~population.right[through]).mean()) if through.any() else 0.0)


def _simpler(dev: Marked, test: Marked, population: Drawn) -> dict[str, Said]:
    """Say what simpler rules leave to the strategy: they look at dev alone, or test a single threshold."""
    thresholds = np.unique(dev.confidence)
    lenient_first = [(each, errors_among(dev, each)) for each in thresholds]
    by_mean = next((each for each, count in lenient_first if count.share <= LIMIT), None)
    by_bound = next((each for each, count in lenient_first if count.at_most(ALPHA) <= LIMIT), None)
    tested = by_bound is not None and errors_among(test, by_bound).at_most(ALPHA) <= LIMIT
    return {
        "error on dev at most 5%": _truth(population, by_mean),
        "bound on dev at most 5%": _truth(population, by_bound),
        "bound on dev and on test": _truth(population, by_bound if tested else None),
    }


def summarise(found: Sequence[Judged]) -> Json:
    """Compute everything that is reported."""
    exact = [item for item in found if item.order.kind != "grouped"]
    grouped = [item for item in found if item.order.kind == "grouped"]
    figures = _figures(found)
    goal = summarise_goal([item.goal for item in found if item.goal is not None])
    return {
        "tasks": len(found),
        "bars": {
            "false promises about the chosen at most 5%": _held(item.chosen.false for item in exact),
            "at most 5% at the border too": _held(item.chosen.false for item in exact if item.order.kind == "border"),
            "any false promise about the others at most 5%": _held(
                any(other.false for other in item.others) for item in exact
            ),
            "in groups at most 5%": _held(item.chosen.false for item in grouped),
            **goal_bars(goal),
        },
        "all": figures,
        "goal_automate": goal,
        "by_kind": {kind: _figures([item for item in found if item.order.kind == kind]) for kind in KINDS},
        "by_size": {
            f"dev {dev}, test {test}": _figures(
                [item for item in found if (item.order.n_dev, item.order.n_test) == (dev, test)]
            )
            for dev, test in SIZES
        },
        "simpler_rules": {
            name: {
                "false": rate(item.simpler[name].false for item in found),
                "share": mean(item.simpler[name].share for item in found),
            }
            for name in found[0].simpler
        },
    }


def _held(hits: Iterable[bool]) -> bool:
    """Tell whether a rate is at most 5%, as far as chance allows to say: its interval does not lie above."""
    return rate(hits)["ci95"][0] <= ALPHA


def _figures(found: Sequence[Judged]) -> Json:
    shown = [item for item in found if item.chosen.share > 0]
    promises = sorted({item.promise for item in found})
    return {
        "false_chosen": rate(item.chosen.false for item in found),
        "false_of_shown": rate(item.chosen.false for item in shown),
        "false_any_other": rate(any(other.false for other in item.others) for item in found),
        "false_widest": rate(item.widest.false for item in found),
        "share": mean(item.chosen.share for item in found),
        "oracle_share": mean(item.oracle for item in found),
        "share_interval_holds": rate(item.interval_holds for item in found if item.interval_holds is not None),
        "promises": {name: rate(item.promise == name for item in found)["rate"] for name in promises},
    }


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    rows = {"all": result["all"], **result["by_kind"], **result["by_size"]}
    lines = [f"{result['tasks']} tasks, {result['seconds']} s"]
    lines += [f"{'':26}{'false':>8}{'others':>8}{'widest':>8}{'share':>8}{'oracle':>8}{'shown':>8}{'interval':>9}"]
    for name, row in rows.items():
        shares = [row[key]["rate"] for key in ("false_chosen", "false_any_other", "false_widest")]
        shares += [row["share"]["mean"], row["oracle_share"]["mean"], row["promises"].get("shown", 0)]
        lines.append(
            f"{name:26}"
            + "".join(f"{100 * share:7.1f}%" for share in shares)
            + f"{100 * (row['share_interval_holds']['rate'] or 0):8.1f}%"
        )
    for name, row in result["simpler_rules"].items():
        lines.append(f"{name:26}{100 * row['false']['rate']:7.1f}%{'':16}{100 * row['share']['mean']:7.1f}%")
    lines += goal_text(result["goal_automate"])
    lines += [f"{'met ' if met else 'MISSED'} {bar}" for bar, met in result["bars"].items()]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = written_results.arguments("Judge what is promised about answers without a person.", name=NAME, seed=SEED)
    parser.add_argument("--tasks", type=int, default=400, help="tasks of each kind")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
