"""Test whether the forecast of more labels can be trusted: `python evals/learning_curves/simulate.py --data DATA`.

The README beside this file explains the design. Every simulated curve draws from its own seed.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import real
import rules
import summary
import worlds

from llmtl.learning_curve import MeasuredCurve, forecast

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "learning_curves"
SEED = 20261125


def main() -> int:
    """Simulate, judge and write the result; exit code 0 if all bars are met."""
    options = _options()
    start = time.perf_counter()
    found = list(simulated(options.worlds, options.seed))
    if options.data:
        found += [judged(curve) for curve in real.curves(options.data)]
    result: dict[str, Any] = {
        "what": "llmtl's forecasts of curves whose continuation is known, against naive rules",
        **written_results.circumstances(["evals/learning_curves/simulate.py", *_arguments()]),
        "seconds": round(time.perf_counter() - start, 1),
        "design": design(options.worlds, options.seed),
        **summary.summarise(found),
    }
    print(summary.text(result))
    print(written_results.write_result(options.name, result).name)
    return 0 if all(result["bars"].values()) else 1


def simulated(count: int, seed: int) -> Iterator[summary.Outcome]:
    """Yield `count` judged worlds of every kind."""
    for number in range(count * len(worlds.KINDS)):
        kind = worlds.KINDS[number % len(worlds.KINDS)]
        yield outcome(worlds.make_world(kind, np.random.default_rng((seed, number))))


def outcome(world: worlds.World) -> summary.Outcome:
    """Judge a world with every rule's forecast."""
    refusal, said = _said(world.measured, world.target)
    truth = {factor: 1 - world.error(factor * world.available) for factor in rules.FACTORS}
    return summary.Outcome(world.kind, world.kind, refusal, truth, {}, world.available, world.needs, said)


def judged(curve: real.RealCurve) -> summary.Outcome:
    """Judge a real curve with every rule's forecast; its target is the score that four times the data reached."""
    target = curve.truth[rules.FURTHEST]
    refusal, said = _said(curve.measured, target)
    noise = {factor: float(np.sqrt(score * (1 - score) / curve.test_examples)) for factor, score in curve.truth.items()}
    available = curve.measured.points[-1].size
    return summary.Outcome(summary.REAL, curve.data, refusal, curve.truth, noise, available, None, said)


def _said(measured: MeasuredCurve, target: float) -> tuple[str | None, dict[str, rules.Foretold]]:
    found = forecast(measured, target=target)
    if found.refusal is not None:
        return found.refusal, {}
    return None, {rules.LLMTL: rules.llmtl(found), **rules.naive(measured, target)}


def design(count: int, seed: int) -> dict[str, Any]:
    """Describe what the worlds are drawn from."""
    return {
        "seed": seed,
        "worlds_of_each_kind": count,
        "kinds": list(worlds.KINDS),
        "available": worlds.AVAILABLE,
        "first_error": worlds.FIRST_ERROR,
        "exponent": worlds.EXPONENT,
        "kink_exponent": worlds.KINK_EXPONENT,
        "irreducible": worlds.IRREDUCIBLE,
        "draw": worlds.DRAW,
        "dev": worlds.DEV,
    }


def _arguments() -> list[str]:
    """List the arguments of the command, without the path of the data."""
    return ["DATA" if before == "--data" else given for before, given in zip(sys.argv, sys.argv[1:], strict=False)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge forecasts of curves whose continuation is known.")
    parser.add_argument("--worlds", type=int, default=200, help="simulated curves of every kind")
    parser.add_argument("--data", type=Path, help="the folder that holds banking77, restaurant8k and e2e_nlg")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--name", default=NAME, help="the name of the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
