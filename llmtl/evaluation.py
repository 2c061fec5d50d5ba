"""A predictor's predictions on a split, scored with intervals, tokens, seconds and money.

Not covered: comparing evaluations (`llmtl.decision`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import psutil

from llmtl.costs import PriceConfig, gpu_hours, usd_for_seconds, usd_per_1k_requests
from llmtl.metrics import score
from llmtl.metrics.intervals import Interval
from llmtl.predictor import Prediction, Predictor, Role
from llmtl.progress import Progress, Silent
from llmtl.task import Example, Task, references

LATENCY_REQUESTS = 20
"""Inputs that are sent one at a time to measure latency; two more go first to warm up."""


@dataclass(frozen=True)
class Evaluation:
    """One strategy measured on one split.

    `scores` maps `accuracy` and `macro_f1` to their value and 95% interval; failures count as errors.
    `usd_per_1k_requests` comes from measured throughput and the recipe's prices; `p50_ms` and `p95_ms` are
    single-request latencies (one input at a time, warm prefix cache). `train_gpu_hours` is 0 when training ran on a
    CPU.
    """

    strategy: str
    role: Role
    split: str
    predictions: tuple[Prediction, ...]
    references: tuple[str, ...]
    scores: Mapping[str, Interval]
    usd_per_1k_requests: float
    p50_ms: float
    p95_ms: float
    train_seconds: float
    train_gpu_hours: float
    train_usd: float
    prompt_tokens_per_request: float
    cached_tokens_per_request: float
    completion_tokens_per_request: float
    peak_memory_gib: float

    @property
    def n(self) -> int:
        """Return the number of examples."""
        return len(self.predictions)

    @property
    def failed(self) -> int:
        """Return the number of failed predictions."""
        return sum(prediction.label is None for prediction in self.predictions)


@dataclass(frozen=True)
class Subject:
    """What is evaluated: a fitted strategy, where it runs and what fitting it took."""

    strategy: str
    role: Role
    predictor: Predictor
    device: str
    train_seconds: float
    train_device: str


def evaluate(
    subject: Subject,
    task: Task,
    examples: Sequence[Example],
    *,
    split: str,
    prices: PriceConfig,
    progress: Progress | None = None,
) -> Evaluation:
    """Return the evaluation of a fitted strategy on `examples`.

    Throughput is the wall time of one call with all examples; latency the wall time of up to 20 calls with one. On a
    CPU `peak_memory_gib` is the process's resident memory after scoring, on a GPU the most memory torch allocated.
    """
    progress = progress or Silent()
    texts = [example.text for example in examples]
    latencies_ms = measure_latency(subject.predictor, texts)
    with progress.stage(f"{subject.strategy}: {split}", len(texts)) as advance:
        start = time.perf_counter()
        raw = subject.predictor.predict(texts, advance=advance)
        seconds = time.perf_counter() - start
    predictions = tuple(replace(item, id=example.id) for item, example in zip(raw, examples, strict=True))
    expected = references(examples)
    return Evaluation(
        strategy=subject.strategy,
        role=subject.role,
        split=split,
        predictions=predictions,
        references=tuple(expected),
        scores=score(expected, [item.label for item in predictions], labels=task.labels),
        usd_per_1k_requests=usd_per_1k_requests(seconds / len(texts), device=subject.device, prices=prices),
        p50_ms=float(np.percentile(latencies_ms, 50)),
        p95_ms=float(np.percentile(latencies_ms, 95)),
        train_seconds=subject.train_seconds,
        train_gpu_hours=gpu_hours(subject.train_seconds) if subject.train_device == "cuda" else 0.0,
        train_usd=usd_for_seconds(subject.train_seconds, device=subject.train_device, prices=prices),
        prompt_tokens_per_request=_mean([item.prompt_tokens for item in predictions]),
        cached_tokens_per_request=_mean([item.cached_tokens for item in predictions]),
        completion_tokens_per_request=_mean([item.completion_tokens for item in predictions]),
        peak_memory_gib=_memory_gib(subject.device),
    )


def measure_latency(predictor: Predictor, texts: Sequence[str]) -> list[float]:
    """Return milliseconds of single-input predictions, at most `LATENCY_REQUESTS`, after two to warm up."""
    for text in texts[:2]:
        predictor.predict([text])
    milliseconds = []
    for text in texts[:LATENCY_REQUESTS]:
        start = time.perf_counter()
        predictor.predict([text])
        milliseconds.append(1000 * (time.perf_counter() - start))
    return milliseconds


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values))


def _memory_gib(device: str) -> float:
    if device == "cuda":
        import torch

        return float(torch.cuda.max_memory_allocated()) / 2**30
    return float(psutil.Process().memory_info().rss) / 2**30
