"""What the decision is told beforehand: margin, error rate, constraints.

Not covered: prices (`llmtl.costs`).
"""

from pydantic import BaseModel, ConfigDict, Field


class DecisionConfig(BaseModel):
    """Margin, error rates and constraints; all are fixed before any result is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    margin: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="The largest loss of score that a cheaper strategy is worth: 0.02 is two more errors in a hundred, "
        "less than the 3.3% of wrong labels in well-known test sets (Northcutt, Athalye & Mueller 2021).",
    )
    alpha: float = Field(
        default=0.05, gt=0, le=0.2, description="The family-wise error rate of the comparisons on test."
    )
    resamples: int = Field(
        default=10_000, ge=1000, le=1_000_000, description="Resamples behind macro-F1 p-values and intervals."
    )
    seed: int = Field(default=0, ge=0, description="Seeds the resampling.")
    max_usd_per_1k: float | None = Field(default=None, gt=0, description="The most that 1,000 requests may cost, USD.")
    max_p95_ms: float | None = Field(
        default=None, gt=0, description="The longest 95th-percentile latency of one request, milliseconds."
    )
    max_memory_gib: float | None = Field(default=None, gt=0, description="The most memory a strategy may use, GiB.")
    private: bool = Field(default=False, description="Inputs may not leave this machine: no hosted models.")
