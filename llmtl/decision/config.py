"""What the decision is told beforehand: margin, error rate, constraints.

Not covered: prices (`llmtl.costs`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Goal(StrEnum):
    """What a choice is made by."""

    SCORE = "score"
    AUTOMATE = "automate"  # the share of inputs that can be left to a strategy alone


class DecisionConfig(BaseModel):
    """Margin, error rates and constraints; all are fixed before any result is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    margin: float = Field(
        default=0.02,
        gt=0,
        lt=1,
        description="The largest loss of score that a cheaper strategy is worth: 0.02 is two more errors in a hundred, "
        "less than the 3.3% of wrong labels in well-known test sets (Northcutt, Athalye & Mueller 2021). With the goal "
        "'automate' the largest loss of the share of inputs that can be left to a strategy.",
    )
    alpha: float = Field(
        default=0.05, gt=0, le=0.2, description="The family-wise error rate of the comparisons on test."
    )
    resamples: int = Field(
        default=10_000, ge=1000, le=1_000_000, description="Resamples behind macro-F1 p-values and intervals."
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seeds the resampling.")
    racing: bool = Field(
        default=True,
        description="Stop scoring a strategy on dev once it is shown that it cannot be chosen. Only metrics that are "
        "means over examples are raced (accuracy, exact match, ROUGE-L), only without constraints, and only by the "
        "goal 'score'.",
    )
    racing_block: int = Field(default=50, ge=1, description="How many dev examples are scored between two looks.")
    draws: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="How often a finalist is fitted and tested of which chance decides something: the seed of a "
        "training, which examples are shown, what a provider's model answers. The intervals then hold for another time "
        "too. By default 3, and 2 when the run has a time budget; with 1 the intervals are widened by what such a "
        "draw is known to change elsewhere.",
    )
    training_seeds: int | None = Field(
        default=None,
        ge=1,
        le=10,
        description="The same for tuned finalists alone, of which every draw is a training; by default as 'draws'.",
    )
    goal: Goal = Field(
        default=Goal.SCORE,
        description="What the choice is made by: the score, or, with 'automate', the share of inputs that can be left "
        "to a strategy alone with at most max_error_automated of these answers wrong. Then only strategies that say "
        "how sure they are can be chosen, nothing is raced, and usd_per_error must be unset.",
    )
    max_error_automated: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="The largest share of errors among the answers that are used without a person looking at them: the "
        "report says what share of inputs can be left to each strategy that tells how sure it is.",
    )
    max_usd_per_1k: float | None = Field(default=None, gt=0, description="The most that 1,000 requests may cost, USD.")
    max_p95_ms: float | None = Field(
        default=None, gt=0, description="The longest 95th-percentile latency of one request, milliseconds."
    )
    max_memory_gib: float | None = Field(default=None, gt=0, description="The most memory a strategy may use, GiB.")
    max_vram_gib: float | None = Field(
        default=None, gt=0, description="The most GPU memory (torch's peak) that a strategy run on a GPU may use, GiB."
    )
    max_forgetting: float | None = Field(
        default=None,
        ge=0,
        description="The largest share by which fine-tuning a language model may raise its cross-entropy on general "
        "English (0.05: 5% harder to predict). By default nothing is ruled out, and the report warns from 0.1 on.",
    )
    usd_per_error: float | None = Field(
        default=None,
        ge=0,
        description="What a wrong or failed answer costs, USD. With it the choice is the strategy with the lowest "
        "expected total cost; unknown by default, and then the report says at which cost which strategy is the best.",
    )
    error_costs: Mapping[str, Mapping[str, Annotated[float, Field(ge=0)]]] = Field(
        default_factory=dict,
        description="What a wrong answer costs by label, USD: reference, answered label, amount. Pairs that are not "
        "named cost usd_per_error. Only for tasks with one label per input.",
    )
    private: bool = Field(
        default=False,
        description="Inputs may not leave this machine: no hosted model and no judge, unless its base_url has a "
        "loopback address (localhost, 127.0.0.1, [::1]).",
    )

    @model_validator(mode="after")
    def _costs_of_errors(self) -> Self:
        """Refuse a table of errors without a cost for those it leaves out, and a price on right answers."""
        if self.error_costs and self.usd_per_error is None:
            raise ValueError(
                "error_costs needs usd_per_error too, the cost of failed answers and of pairs that it does not name; "
                "set both"
            )
        right = sorted(label for label, costs in self.error_costs.items() if label in costs)
        if right:
            raise ValueError(f"error_costs gives a cost to answering '{right[0]}' where that is right; remove it")
        return self

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        """Refuse two yardsticks at once."""
        if self.goal is Goal.AUTOMATE and self.usd_per_error is not None:
            raise ValueError(
                "goal=automate chooses by the share of inputs that can be left to a strategy, and usd_per_error by "
                "what errors cost; unset one of them"
            )
        return self

    @property
    def constrained(self) -> bool:
        """Return whether some strategy may turn out not to be eligible."""
        limits = (self.max_usd_per_1k, self.max_p95_ms, self.max_memory_gib, self.max_vram_gib, self.max_forgetting)
        return any(limit is not None for limit in limits)
