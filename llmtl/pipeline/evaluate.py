"""Evaluating a predictor on a split: predict, time, score.

Not covered: keeping what came out (`llmtl.pipeline.measure`).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from llmtl.costs import NO_TOKENS, StatedCost, Tokens
from llmtl.costs.timing import FEWEST_PARTS
from llmtl.findings import Cut
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.waiting import Stopwatch
from llmtl.progress import Advance, Progress, Silent, unwatched
from llmtl.strategy import Prediction, Predictor, Role
from llmtl.task import Draw, Example, Input, Task, references

LATENCY_REQUESTS, WARM_UP_REQUESTS = 20, 2
"""Inputs that are sent one at a time to measure latency, and those that go first to warm up."""
LATENCY_SECONDS, FEWEST_REQUESTS = 30.0, 10
"""Slow requests are sent for so many seconds, but never fewer than this many: less says nothing of p95."""
TOLD_FROM_SECONDS = 0.5
"""From this time on for those that warm up, the others are a stage of their own in what users see."""

PASSES = 5
"""Passes by which quick ones are timed; the first one, which brings predictions, has more to set up."""
PASSES_SECONDS = 3.0
"""The time after which no further pass begins; a pass that does not fit three times is timed in parts instead."""
PARTS = 10
"""Parts of a pass that are timed by themselves; fewer where batches are large."""


@dataclass(frozen=True)
class Pass:
    """Predictions of inputs in one pass, the seconds that they took, and inputs and seconds of its parts in order.

    `waited` are those of the seconds that went to other programs, of several passes their mean; None if unknown.
    """

    predictions: tuple[Prediction, ...]
    seconds: float
    timings: tuple[tuple[int, float], ...] = ()
    waited: float | None = None


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a fitted strategy, where it runs and what fitting it took.

    `fitting_tokens` is what a provider was paid for while fitting; `stated` what it charged, where only that was kept.
    `model` names the language model that it runs on. `cuts` are what the time limit of fitting left undone. `draw` is
    what another seed would change. `remembers` says that an input takes less time when it comes again.
    """

    strategy: str
    role: Role
    predictor: Predictor
    device: str
    train_seconds: float
    devices: int = 1
    fitting_tokens: Tokens = NO_TOKENS
    stated: StatedCost | None = None
    model: str = ""
    draw: Draw = Draw.NONE
    remembers: bool = False
    cuts: tuple[Cut, ...] = ()


def evaluate(
    subject: Subject,
    task: Task,
    examples: Sequence[Example],
    *,
    split: str,
    progress: Progress | None = None,
    scored: Pass | None = None,
    latency: bool = True,
) -> Evaluation:
    """Evaluate a fitted strategy on `examples`, or what was `scored` before; measure `latency` unless told not to.

    Throughput is that of one call with all examples, on dev the mean of several where one is quick.
    Memory is the process's resident memory after scoring, on a GPU torch's peak.
    """
    inputs, shown = [example.input for example in examples], progress or Silent()
    latencies_ms = _latencies(subject, inputs, split=split, progress=shown) if latency else []
    made = _with_ids(_made(subject, inputs, split=split, progress=shown, scored=scored), examples)
    answers, tokens = [item.answer for item in made.predictions], mean_tokens(made.predictions)
    expected, alternatives, groups = tuple(references(examples)), _alternatives(examples), _groups(examples)
    return Evaluation(
        strategy=subject.strategy,
        role=subject.role,
        split=split,
        predictions=made.predictions,
        references=expected,
        scores=task.kind.score(expected, answers, labels=task.labels, alternatives=alternatives, groups=groups),
        seconds=made.seconds,
        p50_ms=_percentile(latencies_ms, 50),
        p95_ms=_percentile(latencies_ms, 95),
        train_seconds=subject.train_seconds,
        prompt_tokens_per_request=tokens.prompt,
        cached_tokens_per_request=tokens.cached,
        completion_tokens_per_request=tokens.completion,
        peak_memory_gib=_memory_gib(subject.device),
        kind=task.kind,
        labels=task.labels,
        alternatives=alternatives,
        groups=groups,
        device=subject.device,
        devices=subject.devices,
        fitting_tokens=subject.fitting_tokens,
        stated=subject.stated,
        model=subject.model,
        draw=subject.draw,
        latencies_ms=tuple(latencies_ms),
        timings=made.timings,
        waited_seconds=made.waited,
        cuts=subject.cuts,
    )


def _made(subject: Subject, inputs: Sequence[Input], *, split: str, progress: Progress, scored: Pass | None) -> Pass:
    """Predict unless that was done before; costs and throughput are those of dev, which is timed with more care."""
    first = scored or _predicted(subject, inputs, split=split, progress=progress)
    return _timed_again(subject, inputs, first) if split == "dev" else first


def _predicted(subject: Subject, inputs: Sequence[Input], *, split: str, progress: Progress) -> Pass:
    """Predict, with a timing whenever the predictor tells of progress."""
    with progress.stage(f"{subject.strategy}: {split}", len(inputs)) as advance:
        watch = Stopwatch()
        ticks: list[tuple[int, float]] = []

        def tick(units: int) -> None:
            ticks.append((units, watch.seconds()))
            advance(units)

        raw = subject.predictor.predict(inputs, advance=tick)
        return Pass(tuple(raw), watch.seconds(), _parts(ticks, len(inputs)), watch.waited())


def _timed_again(subject: Subject, inputs: Sequence[Input], made: Pass) -> Pass:
    """Time a quick pass over all inputs several times, its seconds being the mean; a long one stays as it is."""
    if subject.remembers or FEWEST_PARTS * made.seconds > PASSES_SECONDS:
        return made
    passes: list[tuple[int, float]] = []
    watch = Stopwatch()
    while len(passes) < PASSES and (len(passes) < FEWEST_PARTS or watch.seconds() < PASSES_SECONDS):
        start = time.perf_counter()
        subject.predictor.predict(inputs)
        passes.append((len(inputs), time.perf_counter() - start))
    seconds = sum(seconds for _, seconds in passes) / len(passes)
    return replace(made, seconds=seconds, timings=tuple(passes), waited=watch.waited() / len(passes))


def _parts(ticks: Sequence[tuple[int, float]], n: int) -> tuple[tuple[int, float], ...]:
    """Cut a pass over n inputs into at most `PARTS` parts of whole batches: inputs and seconds of each."""
    parts: list[tuple[int, float]] = []
    units, since = 0, 0.0
    for more, now in ticks:
        units += more
        if units * PARTS >= n:
            parts.append((units, now - since))
            units, since = 0, now
    return tuple(parts)


def _with_ids(made: Pass, examples: Sequence[Example]) -> Pass:
    named = zip(made.predictions, examples, strict=True)
    return replace(made, predictions=tuple(replace(item, id=example.id) for item, example in named))


def _percentile(latencies_ms: Sequence[float], rank: float) -> float | None:
    return float(np.percentile(latencies_ms, rank)) if latencies_ms else None


def _latencies(subject: Subject, inputs: Sequence[Input], *, split: str, progress: Progress) -> list[float]:
    """Warm up and measure; who waits long is told how far it is."""
    start = time.perf_counter()
    for value in inputs[:WARM_UP_REQUESTS]:
        subject.predictor.predict([value])
    if time.perf_counter() - start < TOLD_FROM_SECONDS:
        return measure_latency(subject.predictor, inputs)
    with progress.stage(f"{subject.strategy}: {split}, one by one", min(LATENCY_REQUESTS, len(inputs))) as advance:
        return measure_latency(subject.predictor, inputs, advance=advance)


def measure_latency(predictor: Predictor, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[float]:
    """Measure the milliseconds of single-input predictions.

    There are at most `LATENCY_REQUESTS`; slow ones end after `LATENCY_SECONDS`, once there are `FEWEST_REQUESTS`.
    """
    milliseconds: list[float] = []
    began = time.perf_counter()
    for value in inputs[:LATENCY_REQUESTS]:
        start = time.perf_counter()
        if len(milliseconds) >= FEWEST_REQUESTS and start - began > LATENCY_SECONDS:
            break
        [prediction] = predictor.predict([value])
        # a hosted model's reply that was kept brings the seconds of its request along
        milliseconds.append(1000 * max(time.perf_counter() - start, prediction.seconds))
        advance(1)
    return milliseconds


def latency_seconds(inputs: int, each: float) -> float:
    """Forecast `measure_latency` with so many inputs of `each` seconds, in seconds."""
    most = min(inputs, LATENCY_REQUESTS)
    in_time = most if each == 0 else min(most, max(FEWEST_REQUESTS, 1 + int(LATENCY_SECONDS / each)))
    return each * (min(inputs, WARM_UP_REQUESTS) + in_time)


def _alternatives(examples: Sequence[Example]) -> tuple[tuple[str, ...], ...]:
    found = tuple(example.alternatives for example in examples)
    return found if any(found) else ()


def _groups(examples: Sequence[Example]) -> tuple[str | None, ...]:
    found = tuple(example.group for example in examples)
    return found if any(group is not None for group in found) else ()


def mean_tokens(predictions: Sequence[Prediction]) -> Tokens:
    """Average the tokens of requests."""
    return Tokens(
        prompt=_mean([item.prompt_tokens for item in predictions]),
        cached=_mean([item.cached_tokens for item in predictions]),
        completion=_mean([item.completion_tokens for item in predictions]),
    )


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values))


def _memory_gib(device: str) -> float:
    if device == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated()) / 2**30
    return float(psutil.Process().memory_info().rss) / 2**30
