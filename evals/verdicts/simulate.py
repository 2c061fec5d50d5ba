"""Test whether the verdict can be trusted: `python evals/verdicts/simulate.py`.

The README beside this file explains the design. Every world draws from its own seed, so that it is the same whatever
the number of workers.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import rules
import summary
import truth
import worlds

from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

SEED = 20261123


@dataclass(frozen=True)
class Order:
    """One world to make and judge."""

    kind: str
    metric: Metric
    seed: tuple[int, int]


def main() -> int:
    """Judge all worlds and write the result; exit code 0 if all bars are met."""
    options = _options()
    start = time.perf_counter()
    wanted = orders(options.worlds, options.macro_f1_worlds, options.seed)
    found = written_results.in_processes(outcome, wanted, workers=options.workers)
    result = {
        "what": "llmtl's verdicts in worlds whose truth is known, against five naive rules",
        **written_results.circumstances(["evals/verdicts/simulate.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": written_results.processor_seconds(),
        "design": _design(options),
        **summary.summarise(found),
    }
    print(summary.text(result))
    print(written_results.write_result(options.name, result).name)
    return 0 if all(result["bars"].values()) else 1


def orders(accuracy: int, macro_f1: int, seed: int) -> list[Order]:
    """List the worlds to make, the kinds in their shares."""
    made = []
    for number, metric in ((accuracy, Metric.ACCURACY), (macro_f1, Metric.MACRO_F1)):
        ends = np.round(np.cumsum(list(worlds.KINDS.values())) * number).astype(int)
        kinds = [list(worlds.KINDS)[int(np.searchsorted(ends, at, side="right"))] for at in range(number)]
        made += [Order(kind, metric, (seed, len(made) + at)) for at, kind in enumerate(kinds)]
    return made


def outcome(order: Order) -> summary.Outcome:
    """Make one world and judge every rule in it."""
    rng = np.random.default_rng(order.seed)
    world = worlds.make_world(order.kind, order.metric, rng, features=worlds.FEATURES)
    once, several = worlds.redrawn(world, rng) if world.draw_sd else (world, world)
    drawn = {"dev": worlds.draw(once, world.n_dev, rng), "test": worlds.draw(several, world.n_test, rng)}
    dev, test = (rules.evaluations(world, split, drawn[split]) for split in ("dev", "test"))
    config = rules.config_of(world)
    said = {
        summary.LLMTL: rules.llmtl(world, dev, test),
        **rules.naive(world, rules.scores_of(world, dev), rules.scores_of(world, test)),
    }
    race = rules.raced(world, drawn["dev"], config)
    if race is not None:
        said[summary.RACED] = rules.llmtl(world, dev, test, race=race) if race.dropped else said[summary.LLMTL]
    return summary.Outcome(
        number=order.seed[1],
        kind=world.kind,
        metric=world.metric,
        strategies=len(world.names),
        n_dev=world.n_dev,
        n_test=world.n_test,
        llm_is_better=truth.llm_is_better(world),
        spread_out=truth.is_spread_out(world),
        power=truth.power(world, config.margin, config.alpha),
        evaluations=None if race is None else rules.evaluations_of(world, race),
        rising=world.rising,
        drawn=world.draw_sd > 0,
        judged={name: truth.judge(world, verdict, config.margin) for name, verdict in said.items()},
    )


def _design(options: argparse.Namespace) -> Mapping[str, Any]:
    return {
        "seed": options.seed,
        "accuracy_worlds": options.worlds,
        "macro_f1_worlds": options.macro_f1_worlds,
        "kinds": worlds.KINDS,
        "probability_of_tuning": round(worlds.TUNED, 3),
        "probability_of_a_frozen_model_with_a_head": round(worlds.FEATURES, 3),
        "share_with_costs_that_rise_with_score": worlds.RISING,
        "share_with_other_scores_when_tuned_again": worlds.DRAWN,
        "sd_of_a_score_over_training_draws": worlds.DRAW_SD,
        "strategies": worlds.STRATEGIES,
        "examples_dev_and_test": worlds.EXAMPLES,
        "phi_correlation": worlds.CORRELATION,
        "best_score": worlds.BEST,
        "widest_gap": worlds.WIDEST_GAP,
        "margin": rules.CONFIG.margin,
        "alpha": rules.CONFIG.alpha,
        "requests": worlds.REQUESTS,
    }


def _options() -> argparse.Namespace:
    parser = written_results.arguments("Judge the verdict in worlds whose truth is known.", name="verdicts", seed=SEED)
    parser.add_argument("--worlds", type=int, default=2400, help="worlds scored by accuracy")
    parser.add_argument("--macro-f1-worlds", type=int, default=240, help="further worlds scored by macro-F1")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
