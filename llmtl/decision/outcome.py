"""The values a decision is made of; `decision.json` is exactly `Decision` written out, and its schema comes from here.

Not covered: how they are reached (`choice`, `verdict`).
"""

from dataclasses import dataclass
from enum import StrEnum

from llmtl.predictor import Role


class Verdict(StrEnum):
    """What to do."""

    ADOPT = "adopt"
    TIE = "tie"
    BASELINE = "baseline"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class DevScore:
    """The decision metric on dev with its 95% interval."""

    value: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class TestScore:
    """The decision metric on test with its 95% interval, the number of examples and of failed predictions."""

    __test__ = False  # pytest must not collect it

    value: float
    ci95: tuple[float, float]
    n: int
    failed: int


@dataclass(frozen=True)
class StrategyResult:
    """One strategy's row in the decision; costs at the recipe's prices."""

    name: str
    role: Role
    eligible: bool
    why_not: str | None
    dev: DevScore
    test: TestScore | None
    usd_per_1k_requests: float
    usd_total: float
    p50_ms: float
    p95_ms: float
    train_seconds: float
    train_gpu_hours: float


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on test: `difference` is score(a) - score(b) in the decision metric."""

    a: str
    b: str
    why: str
    difference: float
    ci95: tuple[float, float]
    p: float
    p_holm: float
    method: str


@dataclass(frozen=True)
class Choice:
    """What was chosen on dev before test was opened."""

    strategy: str
    best_on_dev: str
    best_baseline: str
    runner_up: str | None
    not_shown_worse: tuple[str, ...]
    margin: float
    written_at: str


@dataclass(frozen=True)
class BreakEven:
    """The request volume above which `cheaper_above` costs less in all than `cheaper_below`."""

    cheaper_below: str
    cheaper_above: str
    requests: float


@dataclass(frozen=True)
class Decision:
    """The verdict with everything it rests on.

    `chosen_before_test` names the strategy written down before test was opened. `more_test_examples`: how many further
    test examples would settle an inconclusive or tied result at 80% power, if the observed difference is the true one;
    None when not applicable. `minimum_detectable_difference`: the smallest true difference on test between two
    strategies that this test would find with 80% power.
    """

    task: str
    verdict: Verdict
    winner: str
    reason: str
    reasons: tuple[str, ...]
    metric: str
    target: float | None
    target_met: bool | None
    target_note: str | None
    margin: float
    chosen_before_test: str
    choice: Choice
    strategies: tuple[StrategyResult, ...]
    comparisons: tuple[Comparison, ...]
    minimum_detectable_difference: float
    more_test_examples: int | None
    break_even: tuple[BreakEven, ...]
    would_change: tuple[str, ...]
    warnings: tuple[str, ...]
