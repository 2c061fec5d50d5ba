"""Test what the intervals of differences promise together: `python evals/verdicts/coverage_together.py`.

Whole decisions in the worlds of this folder, whose true scores are known: the comparisons are those that `choose` plans
on dev, and the intervals those that `decide` prints. Judged beside them are the chances with which further examples are
said to settle an open result: so many are drawn, and the same comparisons made of all. The README explains both. Every
world draws from its own seed, so that it is the same whatever the number of workers.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rules
import worlds
from summary import mean, rate

from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Comparison, Decision
from llmtl.decision.outlook import MoreExamples
from llmtl.metrics.intervals import Z_ONE_SIDED, tango
from llmtl.metrics.paired import mcnemar_exact
from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "coverage_together"
SEED = 20261127
CHANCES = (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 1.01)
Json = dict[str, Any]
Ends = tuple[float, float]


@dataclass(frozen=True)
class Order:
    """One world to make and decide in."""

    kind: str
    metric: Metric
    seed: tuple[int, int]


@dataclass(frozen=True)
class Held:
    """One comparison: whether each of its intervals holds the true difference, and what the test said."""

    simultaneous: bool
    alone: bool
    shown: bool
    excludes_zero: bool
    alone_excludes_zero: bool
    false: bool
    width: float


@dataclass(frozen=True)
class Decided:
    """One world decided in: its comparisons; for an open one the chance told that further examples settle it."""

    metric: Metric
    n: int
    comparisons: tuple[Held, ...]
    chance: float | None = None
    came_true: bool = False


def main() -> int:
    """Measure and write the result; the exit code is 1 where an interval contradicts its test."""
    options = _options()
    start = time.perf_counter()
    wanted = orders(options.worlds, options.macro_f1_worlds, options.seed)
    found = written_results.in_processes(decided, wanted, workers=options.workers)
    result = {
        "what": "simultaneous coverage of the intervals of differences, and whether the chances to settle come true",
        **written_results.circumstances(
            ["evals/verdicts/coverage_together.py", *sys.argv[1:]], packages=("numpy", "scipy")
        ),
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": written_results.processor_seconds(),
        "design": {
            "seed": options.seed,
            "accuracy_worlds": options.worlds,
            "macro_f1_worlds": options.macro_f1_worlds,
            "kinds": worlds.KINDS,
            "strategies": worlds.STRATEGIES,
            "examples": worlds.EXAMPLES,
        },
        **summarise(found),
    }
    print(text(result))
    print(written_results.write_result(options.name, result).name)
    return 1 if result["all"]["contradictions"]["simultaneous"] else 0


def orders(accuracy: int, macro_f1: int, seed: int) -> list[Order]:
    """List the worlds to make, the kinds in their shares."""
    made: list[Order] = []
    for number, metric in ((accuracy, Metric.ACCURACY), (macro_f1, Metric.MACRO_F1)):
        ends = np.round(np.cumsum(list(worlds.KINDS.values())) * number).astype(int)
        kinds = [list(worlds.KINDS)[int(np.searchsorted(ends, at, side="right"))] for at in range(number)]
        made += [Order(kind, metric, (seed, len(made) + at)) for at, kind in enumerate(kinds)]
    return made


def decided(order: Order) -> Decided:
    """Make a world, decide in it, and hold what the decision says against the truth."""
    rng = np.random.default_rng(order.seed)
    world = worlds.make_world(order.kind, order.metric, rng)
    drawn = {"dev": worlds.draw(world, world.n_dev, rng), "test": worlds.draw(world, world.n_test, rng)}
    dev, test = (rules.evaluations(world, split, drawn[split]) for split in ("dev", "test"))
    task, config = rules.task_of(world), rules.config_of(world)
    choice = choose(task, dev, config=config, prices=rules.PRICES, written_at="2026-11-27T00:00:00Z")
    decision = decide(task, choice, dev=dev, test=test, config=config, prices=rules.PRICES)
    held = tuple(_held(item, world, config.alpha) for item in decision.comparisons)
    more = next((item for item in decision.changes if isinstance(item, MoreExamples)), None)
    if more is None or more.chance is None or order.metric is not Metric.ACCURACY:
        return Decided(order.metric, world.n_test, held)
    came_true = settled(decision, world, drawn["test"], further=more.n, rng=rng)
    return Decided(order.metric, world.n_test, held, more.chance, came_true)


def settled(
    decision: Decision, world: worlds.World, test: tuple[worlds.Codes, worlds.Codes], *, further: int, rng: Any
) -> bool:
    """Draw further test examples, and tell whether all pairs that were open are settled by all examples together."""
    new = worlds.draw(world, further, rng)
    right = np.concatenate([answers == references[:, None] for references, answers in (test, new)])
    n, alpha = len(right), decision.alpha / len(decision.comparisons)
    ends = {frozenset((item.a, item.b)): item for item in decision.comparisons}
    for a, b in decision.hangs_on:
        known = ends[frozenset((a, b))]
        bound = known.at_most if known.a == a else -(known.at_least if known.at_least is not None else -1.0)
        if bound <= decision.margin:
            continue  # it was no open pair
        first, second = (right[:, world.names.index(name)] for name in (a, b))
        only_a, only_b = int((first & ~second).sum()), int((second & ~first).sum())
        ruled_out = tango(only_a, only_b, n, z=Z_ONE_SIDED).high <= decision.margin
        if not ruled_out and mcnemar_exact(only_a, only_b) > alpha:
            return False
    return True


def summarise(found: Sequence[Decided]) -> Json:
    """Summarise all decisions, by metric, number of comparisons and size of test."""
    tested = [item for item in found if item.comparisons]
    groups: dict[str, Callable[[Decided], bool]] = {
        **{metric.value: lambda item, metric=metric: item.metric is metric for metric in _metrics(tested)},
        **{
            f"{low}-{high} comparisons" if low < high else f"{low} comparisons": (
                lambda item, low=low, high=high: low <= len(item.comparisons) <= high
            )
            for low, high in ((1, 1), (2, 2), (3, 3), (4, 9))
        },
        **{
            f"{low}-{high} test examples": lambda item, low=low, high=high: low <= item.n <= high
            for low, high in ((100, 199), (200, 499), (500, 999), (1000, 2000))
        },
    }
    return {
        "tasks": len(tested),
        "all": _figures(tested),
        "by": {name: _figures([item for item in tested if of(item)]) for name, of in groups.items()},
        "chance_to_settle": _chances([item for item in tested if item.chance is not None]),
    }


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    lines = [f"{result['tasks']} tasks, {result['seconds']} s"]
    lines += [f"{'all intervals of a task hold':32}{'simultaneous':>14}{'95% alone':>11}{'tasks':>7}"]
    for name, row in {"all": result["all"], **result["by"]}.items():
        if row["comparisons"]:
            together, alone = (100 * row["all_hold"][kind]["rate"] for kind in ("simultaneous", "alone"))
            lines.append(f"{name:32}{together:13.1f}%{alone:10.1f}%{row['all_hold']['alone']['of']:7}")
    row = result["all"]
    lines.append(
        f"contradictions of test and interval: {row['contradictions']['simultaneous']} of {row['comparisons']} "
        f"simultaneous, {row['contradictions']['alone']} alone; some false claim in "
        f"{100 * row['some_false_claim']['rate']:.2f}%"
    )
    for name, chance in result["chance_to_settle"].items():
        told = chance["told"]["mean"]
        if told is not None:
            lines.append(
                f"chance {name}: told {100 * told:.0f}%, came true {100 * chance['came_true']['rate']:.0f}%"
                f" of {chance['came_true']['of']}"
            )
    return "\n".join(lines)


def _held(item: Comparison, world: worlds.World, alpha: float) -> Held:
    truth = float(world.truth[world.names.index(item.a)] - world.truth[world.names.index(item.b)])
    found = item.ci_simultaneous
    if found is None:
        raise AssertionError("A decision made now has simultaneous intervals.")
    shown = item.p_holm <= alpha
    excludes = found.low > 0 or found.high < 0 or (found.excludes_zero and 0.0 in (found.low, found.high))
    inside = _holds((found.low, found.high), truth) and not (excludes and truth == 0)
    return Held(
        simultaneous=inside,
        alone=_holds(item.ci95, truth),
        shown=shown,
        excludes_zero=excludes,
        alone_excludes_zero=_beyond(item.ci95),
        false=shown and (truth == 0 or math.copysign(1, truth) != math.copysign(1, item.difference)),
        width=100 * (found.high - found.low),
    )


def _holds(ends: Ends, truth: float) -> bool:
    return ends[0] - 1e-12 <= truth <= ends[1] + 1e-12


def _beyond(ends: Ends) -> bool:
    return ends[0] > 0 or ends[1] < 0


def _figures(found: Sequence[Decided]) -> Json:
    every = [held for item in found for held in item.comparisons]
    return {
        "all_hold": {
            kind: rate(all(getattr(held, kind) for held in item.comparisons) for item in found)
            for kind in ("simultaneous", "alone")
        },
        "one_holds": {kind: rate(getattr(held, kind) for held in every) for kind in ("simultaneous", "alone")},
        "comparisons": len(every),
        "contradictions": {
            "simultaneous": sum(held.excludes_zero != held.shown for held in every),
            "alone": sum(held.alone_excludes_zero != held.shown for held in every),
        },
        "some_false_claim": rate(any(held.false for held in item.comparisons) for item in found),
        "width_points": mean(held.width for held in every),
    }


def _chances(found: Sequence[Decided]) -> Json:
    """Hold the chances told against the share that came true, all together and by what was told."""
    parts = {
        f"{100 * low:.0f}-{100 * min(high, 1):.0f}%": [
            item for item in found if item.chance is not None and low <= item.chance < high
        ]
        for low, high in pairwise(CHANCES)
    }
    return {
        name: {
            "told": mean(item.chance for item in items if item.chance is not None),
            "came_true": rate(item.came_true for item in items),
        }
        for name, items in {"all": list(found), **parts}.items()
    }


def _metrics(found: Sequence[Decided]) -> list[Metric]:
    return list(dict.fromkeys(item.metric for item in found))


def _options() -> argparse.Namespace:
    parser = written_results.arguments("Judge the intervals of differences together.", name=NAME, seed=SEED)
    parser.add_argument("--worlds", type=int, default=2100, help="worlds scored by accuracy")
    parser.add_argument("--macro-f1-worlds", type=int, default=100, help="further worlds scored by macro-F1")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
