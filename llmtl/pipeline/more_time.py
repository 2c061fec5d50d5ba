"""A second fit, in the time that others left, of strategies that their time limit stopped and that may still win.

Forecasts are too long or too short, and a training that stops improving ends early: only when all have fitted is it
known what is left. No strategy can go on from where it was stopped, so one is fitted anew, where that is worth it: what
is left takes it to the end, or is half as much again as it had. The most promising on dev comes first. The first fit
stays in the ledger and counts in what the decision cost. Not covered: who might have won all the same, which the
verdict says (`llmtl.decision.cut_rivals`).
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from llmtl.decision.cut_rivals import open_ended
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.dev_race import Raced
from llmtl.pipeline.measure import Bench, MoreTime
from llmtl.report import cut_words, wording
from llmtl.strategy import AnyStrategy

LONGER = 1.5
"""What a second fit must be given at least, by what the first one had, where it does not come to its end so."""
ROOM = 1.2
"""What it is given at most, by what it is forecast to take from how far the first one came."""


def with_more_time(bench: Bench, raced: Raced) -> tuple[Bench, Raced]:
    """Fit strategies that were cut again, as far as time is left, and evaluate them on dev.

    Returns the bench that fits them so from now on, and the race with their new evaluations. What was decided once
    holds for every command in the folder.
    """
    strategies = {item.name: item for item in bench.prepared.strategies}
    finished = list(raced.finished)
    for name in _promising([item for item, _ in finished], bench.prepared.task.metric.value):
        seconds = _seconds(bench, strategies[name], [item for item, _ in finished])
        if seconds is None:
            continue
        longer = _extended(bench, strategies[name], seconds)
        if longer is not None:
            bench = longer
            at = next(at for at, (item, _) in enumerate(finished) if item.strategy == name)
            finished[at] = bench.evaluate(strategies[name], "dev")
    return bench, replace(raced, finished=finished)


def _promising(dev: Sequence[Evaluation], metric: str) -> list[str]:
    """List the strategies that were cut and may still win, the best on dev first."""
    best = max((item.scores[metric].value for item in dev), default=0.0)
    cut = [item for item in dev if item.cuts and open_ended(item.cuts, item.scores[metric], best)]
    return [item.strategy for item in sorted(cut, key=lambda item: -item.scores[metric].value)]


def _seconds(bench: Bench, strategy: AnyStrategy, dev: Sequence[Evaluation]) -> float | None:
    """Say how long the second fit may take; None where it is not worth making one.

    What is held back for test is what those need that are left in the race, and for further draws, what those need
    whose interval on dev reaches the best.
    """
    times, plan = bench.times, bench.plan
    if times is None or plan is None or strategy.name not in times.claims:
        return None
    record = bench.fit(strategy)
    metric = bench.prepared.task.metric.value
    best = max(item.scores[metric].value for item in dev)
    rivals = {item.strategy for item in dev if item.scores[metric].high >= best}

    def compute(_: Path) -> float | None:
        noted = sum(entry.machine_seconds or 0.0 for entry in bench.ledger.entries.values())
        left = plan.seconds_after_dev([item.strategy for item in dev]) - max(noted, time.monotonic() - bench.began)
        return worth_it(record, times.spare(strategy.name, left, rivals))

    fits = [bench.fit_folder(item).name for item in bench.prepared.strategies]
    kept: float | None = bench.store.step(f"more-time-{strategy.name}", {"fits": fits, "whole": plan.seconds}, compute)
    return kept


def worth_it(record: FitRecord, spare: float) -> float | None:
    """Say how long a second fit may take of the time that is left; None where that is too little to be worth it."""
    had = record.limit_seconds
    if had is None or record.train_seconds is None or not record.cuts:
        return None
    if any(each.done <= 0 for each in record.cuts):
        return spare if spare >= LONGER * had else None
    needs = record.train_seconds * max(each.planned / each.done for each in record.cuts)
    return min(spare, ROOM * needs) if spare >= min(needs, LONGER * had) and spare > had else None


def _extended(bench: Bench, strategy: AnyStrategy, seconds: float) -> Bench | None:
    """Fit the strategy again; None where that failed, so that the first fit stands."""
    first, times = bench.fit(strategy), bench.times
    bench.progress.say(
        f"{strategy.name} {cut_words.stopped(first.cuts)} at its time limit of "
        f"{wording.duration(first.limit_seconds)}, and the others left time: fitting it again, with up to "
        f"{wording.duration(seconds)}"
    )
    given = MoreTime(seconds, first.train_seconds or 0.0)
    longer = replace(bench, extended={**bench.extended, strategy.name: given})
    if times is not None:
        times.again(strategy.name)
    return longer if longer.fit(strategy).skipped is None else None
