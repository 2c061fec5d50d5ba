"""Evaluations and predictions as frames, for notebooks.

Not covered: answers to new inputs (`labelled`), what evaluations cost (`llmtl.costs.pricing`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmtl.measured.evaluation import Evaluation
from llmtl.task import Example, Metric

if TYPE_CHECKING:
    import pandas as pd


class Evaluations(tuple[Evaluation, ...]):
    """Every strategy on dev and test, a tuple that can be shown as a frame."""

    __slots__ = ()

    def to_pandas(self) -> "pd.DataFrame":
        """Give a row per strategy and split: every metric with its 95% interval, failures, seconds, latency, tokens."""
        import pandas as pd

        return pd.DataFrame([_row(evaluation) for evaluation in self])

    def __repr__(self) -> str:
        return f"<{len(self)} evaluations: {', '.join(f'{each.strategy} on {each.split}' for each in self)}>"

    def _repr_html_(self) -> str:
        html: str = self.to_pandas().round(3).to_html(index=False)
        return html


def _row(evaluation: Evaluation) -> dict[str, Any]:
    scores: dict[str, float] = {}
    for name, interval in evaluation.scores.items():
        scores |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return {
        "strategy": evaluation.strategy,
        "role": evaluation.role.value,
        "split": evaluation.split,
        "n": evaluation.n,
        "failed": evaluation.failed,
        **scores,
        "p50_ms": evaluation.p50_ms,
        "p95_ms": evaluation.p95_ms,
        "seconds": evaluation.seconds,
        "train_seconds": evaluation.train_seconds,
        "prompt_tokens_per_request": evaluation.prompt_tokens_per_request,
        "completion_tokens_per_request": evaluation.completion_tokens_per_request,
        "peak_memory_gib": evaluation.peak_memory_gib,
    }


@dataclass(frozen=True)
class Answered:
    """What one strategy answered to the examples of one split, in their order, scored one by one in `metric`."""

    evaluation: Evaluation
    metric: Metric
    examples: Mapping[str, Example]

    def to_pandas(self) -> "pd.DataFrame":
        """Give a row per example, indexed by its id: text, reference, prediction, score (0 to 1) and confidence."""
        import pandas as pd

        done, kind = self.evaluation, self.evaluation.kind
        scores = done.measure(self.metric).each(done.answers)
        rows = [
            {
                "id": made.id,
                "text": _shown(self.examples.get(made.id)),
                "reference": kind.as_json(reference),
                "prediction": None if made.answer is None else kind.as_json(made.answer),
                "score": float(score),
                "confidence": made.certainty,
                "failure": made.failure,
            }
            for made, reference, score in zip(done.predictions, done.references, scores, strict=True)
        ]
        return pd.DataFrame(rows).astype({"confidence": float}).set_index("id")

    def errors(self) -> "pd.DataFrame":
        """Give the rows that are not wholly right, the worst first, and of those as bad the surest first."""
        frame = self.to_pandas()
        wrong = frame[frame["score"] < 1]
        return wrong.sort_values(["score", "confidence"], ascending=[True, False], kind="stable")

    def __len__(self) -> int:
        return self.evaluation.n

    def __repr__(self) -> str:
        return f"<{self.evaluation.n} predictions of {self.evaluation.strategy} on {self.evaluation.split}>"

    def _repr_html_(self) -> str:
        html: str = self.to_pandas().to_html(max_rows=10)
        return html


def _shown(example: Example | None) -> str | None:
    if example is None:
        return None
    return example.input if isinstance(example.input, str) else str(example.input)
