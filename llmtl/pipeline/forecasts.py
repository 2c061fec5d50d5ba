"""How long fitting each strategy would take, from short probes: the plan of the time for fitting rests on it.

Forecasts and what is made of them are steps of the store, so that the same command goes on with the same plan. What was
fitted before is not probed: its time is known. A fit does not depend on forecasts: it is not made again because a probe
measured otherwise. Not covered: the probes, which are each strategy's own (`Strategy.forecast`), dividing the time
(`shares`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from llmtl.errors import InputError, TrainingError
from llmtl.pipeline.budget import Plan, fits_of
from llmtl.pipeline.draws import draws_in_time
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.shares import Claim, FitTimes
from llmtl.progress import Silent
from llmtl.report import wording
from llmtl.strategy import AnyStrategy, Budget, Role, Strategy

PROBE_SHARE = 0.03
"""The part of the budget that all probes together may take, about: each ends behind a step that it has begun."""
FEWEST_SECONDS = 1.0
"""With less time than this, a strategy is not probed: loading alone would take it."""
ROOM = 1.5
"""What a strategy is given of its forecast before others get more: a probe is a few steps long."""


def with_fit_times(bench: Bench) -> Bench:
    """Plan the time for fitting; the bench keeps to it. Without a budget nothing is limited."""
    plan = bench.plan
    if plan is None:
        return bench
    limited = [strategy for strategy in bench.prepared.strategies if plan.fit_seconds(strategy.name) is not None]
    needs, took = _kept_forecasts(bench, limited, plan)
    draws = draws_in_time(bench.prepared.recipe.decision)
    draws = dict.fromkeys(draws, 1) if plan.draws == 1 else draws
    claims = {
        strategy.name: Claim(strategy.facts.fit_weight, fits_of(strategy.facts, draws), needs.get(strategy.name))
        for strategy in limited
    }
    times = FitTimes(plan.fitting_seconds(took), claims)
    if needs:
        bench.progress.say(_told(times, needs))
    return replace(bench, times=times)


def _kept_forecasts(bench: Bench, limited: Sequence[AnyStrategy], plan: Plan) -> tuple[dict[str, float], float]:
    """Return the seconds that one fit needs, with room, of those of which it is known; and what the probes took.

    That of the first command in a folder holds: what it has fitted by then changes no plan of the next one.
    """
    if len(limited) < 2:  # nobody to share with
        return {}, 0.0

    def compute(_: Path) -> dict[str, Any]:
        needs, took = _forecasts(bench, limited, plan)
        return {"needs": needs, "took": took}

    depends_on = {"fits": [bench.fit_folder(strategy).name for strategy in limited], "seconds": plan.seconds}
    kept = bench.store.step("fit-times", depends_on, compute)
    return kept["needs"], kept["took"]


def _forecasts(bench: Bench, limited: Sequence[AnyStrategy], plan: Plan) -> tuple[dict[str, float], float]:
    """Make the forecasts of those that were not fitted yet; those of prompts rest on a speed that is known already."""
    needs: dict[str, float] = {}
    for strategy in limited:
        if bench.was_fitted(strategy):
            record = bench.fit(strategy)
            if record.train_seconds is not None and not record.cuts:
                needs[strategy.name] = record.train_seconds
    waiting = [strategy for strategy in limited if not bench.was_fitted(strategy)]
    waiting = [strategy for strategy in waiting if type(strategy).forecast is not Strategy.forecast]
    probed = [strategy for strategy in waiting if strategy.role is not Role.PROMPTING]
    took, each = 0.0, PROBE_SHARE * plan.seconds / max(1, len(probed))
    if each < FEWEST_SECONDS:
        waiting = [strategy for strategy in waiting if strategy not in probed]
    if waiting:
        bench.progress.say(f"Forecasting the time for fitting: {', '.join(strategy.name for strategy in waiting)}")
    for strategy in waiting:
        found = _forecast(bench, strategy, each)
        took += found["took"]
        if found["seconds"] is not None:
            needs[strategy.name] = ROOM * found["seconds"]
    return needs, took


def _forecast(bench: Bench, strategy: AnyStrategy, seconds: float) -> dict[str, Any]:
    """Return the forecast of one strategy, with the seconds that the probe took."""

    def compute(_: Path) -> dict[str, Any]:
        start = time.perf_counter()
        by_weight = bench.plan.fit_seconds(strategy.name) if bench.plan else None
        budget = Budget(train_seconds=seconds, enough=None if by_weight is None else by_weight / ROOM)
        with TemporaryDirectory() as folder:
            context = replace(bench.context(strategy, Path(folder)), budget=budget, progress=Silent())
            try:
                found = strategy.forecast(context)
            except (InputError, TrainingError):  # fitting will say so, or finds more in all of train
                found = None
        return {"seconds": found, "took": time.perf_counter() - start}

    kept: dict[str, Any] = bench.store.step(f"forecast-{strategy.name}", bench.fit_depends_on(strategy), compute)
    return kept


def _told(times: FitTimes, needs: Mapping[str, float]) -> str:
    """Say how much time each strategy is given, and which ones may need more."""
    parts = []
    for name, seconds in times.planned.items():
        short = name in needs and seconds < needs[name]
        needed = f" of {wording.duration(needs[name])} that it may need" if short else ""
        parts.append(f"{name} {wording.duration(seconds)}{needed}")
    return f"Time for fitting, as planned: {', '.join(parts)}"
