"""A strategy's predictions on a split with scores, intervals, tokens, seconds and devices: never money.

Not covered: measuring them (`llmtl.pipeline.evaluate`), pricing them (`llmtl.costs.pricing`),
comparing evaluations (`llmtl.decision`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.costs import NO_TOKENS, MemberUse, StatedCost, Tokens, gpu_hours
from llmtl.findings import Cut
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.table import KindByName
from llmtl.measured.forgetting import Forgetting
from llmtl.metrics import Measure
from llmtl.metrics.intervals import Interval
from llmtl.notebook_card import Carded
from llmtl.strategy import Prediction, Role
from llmtl.task import Draw, Metric


@dataclass(frozen=True, repr=False)
class Evaluation(Carded):
    """One strategy measured on one split.

    `scores` maps the name of every metric of the task's kind to its value and 95% interval; failures count as errors.
    `references`, `alternatives` and `groups` are those of the examples, the last two empty where no example has any.
    `seed_predictions` are those of further draws (training seeds, demonstrations, replies) on the same examples;
    `predictions` and `scores` are of the first one. `draw` is what a draw is; `draw_sd` by how much another one moves
    the score, where one alone is here and that was measured. `device` is where requests and fitting ran, `cpu`, `cuda`
    or `hosted`, and `devices` on how many of them. `seconds` is the wall time of scoring all examples together, from
    which throughput follows; `p50_ms` and `p95_ms` are single-request latencies (one input at a time, warm prefix
    cache). `fitting_tokens` is what a provider was paid for while fitting, `stated` what prediction files say that it
    costs. `timings` are the parts of `seconds` in order, or several passes of which they are the mean: examples and
    seconds of each, from which follows how exactly those are known, and `waited_seconds` those of `seconds` that other
    programs took; None where that was not measured. Seconds, latency, training and memory are None
    where nobody measured them: in prediction files made elsewhere. `model` names the language model that it ran on; it
    is empty where there is none, or nobody said. `latencies_ms` are the single requests behind the two latencies, empty
    in runs of earlier versions. `cuts` are what the time limit of fitting left undone. `forgetting` is what a language
    model lost by being tuned; None where none was, where that was not measured, and on test.

    Of a strategy that was composed of others `members` is what each of them used, cheapest first: what it costs is
    their sum, and `seconds`, `device` and tokens are for a reader.
    """

    strategy: str
    role: Role
    split: str
    predictions: tuple[Prediction, ...]
    references: tuple[str, ...]
    scores: Mapping[str, Interval]
    seconds: float | None
    p50_ms: float | None
    p95_ms: float | None
    train_seconds: float | None
    prompt_tokens_per_request: float
    cached_tokens_per_request: float
    completion_tokens_per_request: float
    peak_memory_gib: float | None
    kind: KindByName = CLASSIFICATION
    labels: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    groups: tuple[str | None, ...] = ()
    seed_predictions: tuple[tuple[Prediction, ...], ...] = ()
    device: str = "cpu"
    devices: int = 1
    fitting_tokens: Tokens = NO_TOKENS
    stated: StatedCost | None = None
    model: str = ""
    draw: Draw = Draw.NONE
    draw_sd: float | None = None
    latencies_ms: tuple[float, ...] = ()
    members: tuple[MemberUse, ...] = ()
    timings: tuple[tuple[int, float], ...] = ()
    cuts: tuple[Cut, ...] = ()
    waited_seconds: float | None = None
    forgetting: Forgetting | None = None

    @property
    def n(self) -> int:
        """Count the examples."""
        return len(self.predictions)

    @property
    def train_gpu_hours(self) -> float | None:
        """Give the GPU-hours that fitting took, 0 where it ran on a CPU or at a provider."""
        if self.train_seconds is None:
            return None
        on_gpu = [part for part in self.members or (self,) if part.device == "cuda"]
        return sum((gpu_hours(part.train_seconds or 0.0, gpus=part.devices) for part in on_gpu), start=0.0)

    @property
    def vram_gib(self) -> float | None:
        """Give the most GPU memory that it took, GiB, 0 where it ran on a CPU or at a provider; None if unknown."""
        if self.peak_memory_gib is None:
            return None
        on_gpu = [part.peak_memory_gib for part in self.members or (self,) if part.device == "cuda"]
        return sum((part or 0.0 for part in on_gpu), start=0.0)

    @property
    def failed(self) -> int:
        """Count the failed predictions."""
        return sum(prediction.answer is None for prediction in self.predictions)

    @property
    def answers(self) -> list[str | None]:
        """List the answer to each example, None where it failed."""
        return [prediction.answer for prediction in self.predictions]

    def measure(self, metric: Metric) -> Measure:
        """Make the metric on these references; without `labels`, the labels are those that the references name."""
        return self.kind.measure(metric, self.references, alternatives=self.alternatives, labels=self.labels)
