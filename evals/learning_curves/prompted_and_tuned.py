"""Judge forecasts of `knn-few-shot` and `qlora`: `python evals/learning_curves/prompted_and_tuned.py --data DATA`.

The README beside this file explains the design. Every fit is saved when it is made, so that the command can be stopped
at any time, started again to go on, and started with `--minutes 0` to judge again what there is.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import made_tasks
import numpy as np
import real
import simulate
import summary

from llmtl.engines.engine_cache import EngineCache
from llmtl.pipeline.models import source_of
from llmtl.sections import ModelConfig
from llmtl.strategies.table import StrategiesConfig, make
from llmtl.strategy import FitContext, Predictor
from llmtl.task import Split

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "learning_curves_models"
LEARNERS = ("knn-few-shot", "qlora")
MODELS = ("pocket-llama", "pocket-mistral")
"""The model of the first draw, of the second, and so on in turn."""
DRAWS = 2
TRAIN, DEV, TEST = 320, 120, 400
SHOWN = ((1 / 4, 5),)
BANKING, PRICE = "banking77, 10 intents", "e2e_nlg, price range"
INSTRUCTIONS = {BANKING: "Name the customer's intent.", PRICE: "Name the price range that the sentence states."}


@dataclass(frozen=True)
class Group:
    """A strategy with a model on one draw of one task."""

    strategy: str
    model: str
    plan: real.Plan

    @property
    def key(self) -> tuple[str, str, int]:
        """Strategy, task and draw: what identifies the group."""
        return self.strategy, self.plan.wanted.name, self.plan.wanted.seed

    @property
    def sizes(self) -> list[int]:
        """All sizes to fit, smallest first."""
        return sorted(self.plan.on_dev | self.plan.on_test)


def groups(data: Path | None) -> Iterator[Group]:
    """Yield what to measure, in an order that keeps any first part of it balanced."""
    for draw in range(DRAWS):
        for wanted in _tasks(data, draw):
            for strategy in LEARNERS:
                yield Group(strategy, MODELS[draw % len(MODELS)], real.planned(wanted))


def _tasks(data: Path | None, draw: int) -> Iterator[real.Wanted]:
    """Yield a made task and a real one in turn."""
    limits: dict[str, Any] = {"dev": DEV, "most_train": TRAIN, "most_test": TEST, "shown": SHOWN}
    found = {wanted.name: wanted for wanted in real.tasks(data) if wanted.seed == draw} if data else {}
    made = {made_tasks.PARTS: made_tasks.parts, made_tasks.CONCEPTS: made_tasks.concepts}
    for (made_name, draw_task), (name, instruction) in zip(made.items(), INSTRUCTIONS.items(), strict=True):
        task, examples = draw_task(draw, TRAIN + DEV + TEST)
        yield real.Wanted(made_name, task, examples, seed=draw, **limits)
        if name in found:
            yield replace(found[name], task=replace(found[name].task, instruction=instruction), **limits)


def fit_of(group: Group) -> real.Fit:
    """Make the function that fits a strategy as a run without a budget does."""
    source = source_of(ModelConfig(name=group.model))
    engines = EngineCache(source)

    def fit(wanted: real.Wanted, cut: Split, folder: Path) -> Predictor:
        context = FitContext(
            wanted.task,
            cut.train,
            cut.dev,
            source,
            engines.load,
            folder,
            seed=wanted.seed,
            release_engines=engines.release,
        )
        return make(group.strategy, StrategiesConfig()).fit(context).predictor

    return fit


def measure(group: Group, fits: list[dict[str, Any]], *, until: float) -> Iterator[int]:
    """Yield each size after its fit was added to `fits`; begin none after the time `until`."""
    done, fit = scored(group, fits), fit_of(group)
    for size in group.sizes:
        if size in done:
            continue
        if time.monotonic() >= until:
            return
        start = time.perf_counter()
        found = group.plan.score(size, fit)
        strategy, data, seed = group.key
        fits.append(
            {
                "strategy": strategy,
                "model": group.model,
                "data": data,
                "seed": seed,
                "size": size,
                "wrong_on_dev": None if found.dev is None else "".join("01"[int(wrong)] for wrong in found.dev),
                "test_score": found.test,
                "seconds": round(time.perf_counter() - start, 1),
            }
        )
        yield size


def scored(group: Group, fits: Sequence[dict[str, Any]]) -> dict[int, real.Scored]:
    """Collect what was measured of a group."""
    return {
        row["size"]: real.Scored(_wrong(row["wrong_on_dev"]), row["test_score"])
        for row in fits
        if (row["strategy"], row["data"], row["seed"]) == group.key
    }


def _wrong(digits: str | None) -> Any:
    return None if digits is None else np.array([digit == "1" for digit in digits])


def judged(every: Sequence[Group], fits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Judge the fits that exist, for the report."""
    by_strategy: dict[str, list[summary.Outcome]] = {name: [] for name in LEARNERS}
    listed = []
    for group in every:
        for curve in group.plan.curves(scored(group, fits), group.strategy):
            outcome = simulate.judged(curve)
            by_strategy[group.strategy].append(outcome)
            listed.append(_row(group, curve, outcome))
    pooled = [outcome for outcomes in by_strategy.values() for outcome in outcomes]
    found = {name: outcomes for name, outcomes in {**by_strategy, "pooled": pooled}.items() if outcomes}
    judgement = {name: summary.group(outcomes) for name, outcomes in found.items()}
    bars: dict[str, bool] = {}
    for name, item in judgement.items():
        if item["rules"]:  # if everything is refused, there is no band to check
            bars |= summary.holding_bars(name, item)
    if pooled and judgement["pooled"]["rules"]:
        bars |= summary.error_bars("pooled", judgement["pooled"])
    return {"curves": len(listed), "judged": judgement, "bars": bars, "each": listed}


def _row(group: Group, curve: real.RealCurve, outcome: summary.Outcome) -> dict[str, Any]:
    """Describe one curve with its truth and llmtl's forecast."""
    said = outcome.said.get(summary.LLMTL)
    points = curve.measured.points
    return {
        "strategy": group.strategy,
        "model": group.model,
        "data": curve.data,
        "seed": curve.seed,
        "scores": {str(point.size): round(point.score, 4) for point in points},
        "truth": {f"{factor}x": round(score, 4) for factor, score in curve.truth.items()},
        "forecast": said and {f"{factor}x": [round(value, 4) for value in band] for factor, band in said.at.items()},
        "refusal": outcome.refusal,
    }


def design() -> dict[str, Any]:
    """Describe what is measured."""
    return {
        "strategies": list(LEARNERS),
        "models_by_draw": list(MODELS),
        "draws": DRAWS,
        "data": [*INSTRUCTIONS, made_tasks.PARTS, made_tasks.CONCEPTS],
        "train": TRAIN,
        "dev": DEV,
        "test": TEST,
        "shown": [{"share_of_train": share, "sizes": points} for share, points in SHOWN],
    }


def main() -> int:
    """Measure, judge and write the result; exit code 0 if all bars are met."""
    options = _options()
    every = list(groups(options.data))
    fits = _kept(options.name)
    until = time.monotonic() + 60 * options.minutes
    numbers = count(1)
    for group in every:
        for size in measure(group, fits, until=until):
            print(next(numbers), *group.key, size, fits[-1]["test_score"], f"{fits[-1]['seconds']} s", flush=True)
            _write(options.name, every, fits)
    result = _write(options.name, every, fits)
    print("\n".join(f"{'met   ' if met else 'MISSED'} {bar}" for bar, met in result["bars"].items()))
    return 0 if all(result["bars"].values()) else 1


def _kept(name: str) -> list[dict[str, Any]]:
    """Read the fits of a result of the same design."""
    path = written_results.RESULTS / f"{name}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return list(found["fits"]) if found.get("design") == design() else []


def _write(name: str, every: Sequence[Group], fits: Sequence[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "what": "llmtl's forecasts of measured curves of language models, against naive rules",
        **written_results.circumstances(["evals/learning_curves/prompted_and_tuned.py", "--data", "DATA"]),
        "seconds": round(sum(row["seconds"] for row in fits), 1),
        "design": design(),
        "fits_planned": sum(len(group.sizes) for group in every),
        **judged(every, fits),
        "fits": list(fits),
    }
    written_results.write_result(name, result)
    return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge forecasts of language models' curves.")
    parser.add_argument("--data", type=Path, help="the folder that holds banking77 and e2e_nlg")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no fit after this many minutes")
    parser.add_argument("--name", default=NAME, help="the name of the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
