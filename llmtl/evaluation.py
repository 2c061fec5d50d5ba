"""A predictor's predictions on a split, scored with intervals, tokens, seconds and money.

Not covered: comparing evaluations (`llmtl.decision`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.metrics.intervals import Interval
from llmtl.predictor import Prediction, Role


@dataclass(frozen=True)
class Evaluation:
    """One strategy measured on one split.

    `scores` maps `accuracy` and `macro_f1` to their value and 95% interval; failures count as errors.
    `usd_per_1k_requests` comes from measured throughput and the recipe's prices; `p50_ms` and `p95_ms` are
    single-request latencies (one input at a time, warm prefix cache). `train_gpu_hours` is 0 when training ran on a CPU.
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
