"""Test the choice by expected total cost: `python evals/verdicts/error_costs.py`.

Worlds as in the README beside this file, each with a known cost of one error. Every world draws from its own seed, so
that it is the same whatever the number of workers.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rules
import worlds
from summary import mean, rate

from llmtl import Decision
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Verdict
from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "error_costs"
SEED = 20261127
WORLDS = 600
USD_PER_ERROR = (1e-6, 1e-1)
"""The cost of an error, log-uniform: at its ends nearly always the cheapest strategy, or the most accurate, is best."""
BINS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Stated probabilities of being the cheapest, whose statements are counted together."""
RULES = (
    "llmtl",
    "llmtl's choice on dev",
    "llmtl, cost of errors unknown",
    "highest dev mean",
    "highest test mean",
    "cheapest",
)
Json = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of one world: by rule, the true total of its strategy over the lowest one; and what llmtl stated.

    `stated` pairs each strategy's probability of being the cheapest on test with whether it is; `totals` and `switches`
    say whether the 95% bands held the truth.
    """

    usd_per_error: float
    regret_usd: Mapping[str, float]
    regret_share: Mapping[str, float]
    best: Mapping[str, bool]
    verdict: str
    false_adopt: bool
    false_baseline: bool
    stated: tuple[tuple[float, bool], ...]
    totals: tuple[bool, ...]
    switches: tuple[bool, ...]


def main() -> int:
    """Judge all worlds and write the result."""
    parser = written_results.arguments(
        "Judge the choice by expected total cost where the truth is known.", name=NAME, seed=SEED
    )
    parser.add_argument("--worlds", type=int, default=WORLDS)
    options = parser.parse_args()
    start = time.perf_counter()
    seeds = [(options.seed, number) for number in range(options.worlds)]
    found = written_results.in_processes(outcome, seeds, workers=options.workers)
    result = {
        "what": "llmtl's choice by expected total cost in worlds whose truth is known, against simpler rules",
        **written_results.circumstances(["evals/verdicts/error_costs.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": written_results.processor_seconds(),
        "design": {"worlds": options.worlds, "seed": options.seed, "usd_per_error": USD_PER_ERROR},
        **summarised(found),
    }
    written_results.write_result(options.name, result)
    print(text(result))
    return 0


def outcome(seed: tuple[int, int]) -> Outcome:
    """Make one world with a cost of errors, and judge every rule in it."""
    rng = np.random.default_rng(seed)
    kinds = list(worlds.KINDS)
    kind = kinds[int(rng.choice(len(kinds), p=np.array(list(worlds.KINDS.values()))))]
    world = worlds.make_world(kind, Metric.ACCURACY, rng)
    usd_per_error = float(np.exp(rng.uniform(*np.log(USD_PER_ERROR))))
    drawn = {"dev": worlds.draw(world, world.n_dev, rng), "test": worlds.draw(world, world.n_test, rng)}
    made = {split: rules.evaluations(world, split, drawn[split]) for split in drawn}
    config = rules.config_of(world)
    decided = _decide(world, made, config.model_copy(update={"usd_per_error": usd_per_error}))
    unaware = _decide(world, made, config)
    scores = {split: rules.scores_of(world, made[split]).value for split in made}
    picks = (
        world.names.index(decided.winner),
        world.names.index(decided.chosen_before_test),
        world.names.index(unaware.winner),
        int(scores["dev"].argmax()),
        int(scores["test"].argmax()),
        int(world.usd_total.argmin()),
    )
    truth = world.usd_total + worlds.REQUESTS * (1 - world.truth) * usd_per_error
    regret = dict(zip(RULES, (float(truth[pick] - truth.min()) for pick in picks), strict=True))
    return Outcome(
        usd_per_error=usd_per_error,
        regret_usd=regret,
        regret_share={name: usd / float(truth.min()) for name, usd in regret.items()},
        best={name: usd <= 1e-9 * float(truth.min()) for name, usd in regret.items()},
        verdict=decided.verdict.value,
        false_adopt=decided.verdict is Verdict.ADOPT and _not_better(world, picks[0], truth),
        false_baseline=decided.verdict is Verdict.BASELINE and bool(truth[picks[0]] > truth[~world.is_baseline].min()),
        stated=_stated(world, decided, truth),
        totals=_totals_held(world, decided, truth),
        switches=_switches_held(world, unaware),
    )


def _not_better(world: worlds.World, winner: int, truth: worlds.Floats) -> bool:
    """Say whether a baseline's true total is as low; the cheapest to use takes its place where there is no baseline."""
    rivals = world.is_baseline if world.is_baseline.any() else world.usd_total == world.usd_total.min()
    others = rivals & (np.arange(len(truth)) != winner)
    return bool((truth[winner] >= truth[others]).any())


def _decide(world: worlds.World, made: Mapping[str, Sequence[Any]], config: DecisionConfig) -> Decision:
    task = rules.task_of(world)
    choice = choose(task, made["dev"], config=config, prices=rules.PRICES, written_at="2026-11-27T00:00:00Z")
    return decide(task, choice, dev=made["dev"], test=made["test"], config=config, prices=rules.PRICES)


def _stated(world: worlds.World, decided: Decision, truth: worlds.Floats) -> tuple[tuple[float, bool], ...]:
    """Pair each stated probability with the truth; nothing where two strategies are truly the cheapest."""
    if decided.expected_totals is None or (truth <= truth.min() * (1 + 1e-9)).sum() > 1:
        return ()
    return tuple(
        (item.cheapest, world.names.index(item.strategy) == int(truth.argmin()))
        for item in decided.expected_totals.strategies
    )


def _totals_held(world: worlds.World, decided: Decision, truth: worlds.Floats) -> tuple[bool, ...]:
    rows = decided.expected_totals.strategies if decided.expected_totals else ()
    return tuple(item.ci95[0] <= truth[world.names.index(item.strategy)] <= item.ci95[1] for item in rows)


def _switches_held(world: worlds.World, decided: Decision) -> tuple[bool, ...]:
    """Say whether the band of each switching point held the true crossing of its two strategies, if there is one."""
    held = []
    for switch in decided.value_of_accuracy.switches if decided.value_of_accuracy else ():
        below, above = (world.names.index(name) for name in (switch.below, switch.above))
        fewer = worlds.REQUESTS * (world.truth[above] - world.truth[below])
        true = (world.usd_total[above] - world.usd_total[below]) / fewer if fewer > 0 else float("inf")
        low, high = switch.ci95
        held.append(bool(low <= true and (high is None or true <= high)))
    return tuple(held)


def summarised(found: Sequence[Outcome]) -> Json:
    """Sum the worlds up."""
    stated = [pair for each in found for pair in each.stated]
    held = [hit for each in found for hit in each.totals]
    switched = [hit for each in found for hit in each.switches]
    return {
        "rules": {
            name: {
                "mean_regret_usd": mean([each.regret_usd[name] for each in found]),
                "mean_regret_of_lowest_total": mean([each.regret_share[name] for each in found]),
                "best_chosen": rate([each.best[name] for each in found]),
            }
            for name in RULES
        },
        "verdicts": {verdict.value: rate([each.verdict == verdict.value for each in found]) for verdict in Verdict},
        "false_adopts": rate([each.false_adopt for each in found]),
        "false_baselines": rate([each.false_baseline for each in found]),
        "stated_probability_of_being_the_cheapest": [
            {"from": low, "to": high, "stated": mean([p for p, _ in some]), "true": rate([hit for _, hit in some])}
            for low, high in pairwise(BINS)
            if (some := [pair for pair in stated if low <= pair[0] < high or pair[0] == high == 1.0])
        ],
        "band_of_total_holds": rate(held),
        "band_of_switching_point_holds": rate(switched),
    }


def text(result: Json) -> str:
    """Put the result in lines."""
    lines = [f"{'rule':32}  regret USD   of lowest total   the best chosen"]
    lines += [
        f"{name:32}  {row['mean_regret_usd']['mean']:10.2f}   {row['mean_regret_of_lowest_total']['mean']:15.1%}   "
        f"{row['best_chosen']['rate']:.1%}"
        for name, row in result["rules"].items()
    ]
    lines += [f"{name}: {result[name]}" for name in ("verdicts", "false_adopts", "false_baselines")]
    lines += [f"stated: {row}" for row in result["stated_probability_of_being_the_cheapest"]]
    lines += [f"{name}: {result[name]}" for name in ("band_of_total_holds", "band_of_switching_point_holds")]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
