"""The values a decision is made of; `decision.json` is exactly `Decision` written out, and its schema comes from here.

Not covered: how they are reached (`choice`, `verdict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from llmtl.costs import Spending
from llmtl.strategy import Role


class Verdict(StrEnum):
    """What to do."""

    ADOPT = "adopt"
    TIE = "tie"
    BASELINE = "baseline"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class DevScore:
    """The decision metric on dev with its 95% interval, and on how many examples.

    `n` is below the size of dev for a strategy that was dropped in the race.
    """

    value: float
    ci95: tuple[float, float]
    n: int | None = None


@dataclass(frozen=True)
class TestScore:
    """The decision metric on test with its 95% interval, the number of examples and of failed predictions.

    With several training `seeds` the value is their mean, and the interval holds for further examples and seeds.
    """

    __test__ = False  # pytest must not collect it

    value: float
    ci95: tuple[float, float]
    n: int
    failed: int
    seeds: int = 1


@dataclass(frozen=True)
class StrategyResult:
    """One strategy's row in the decision; costs at the recipe's prices. None is what nobody measured.

    `usd_total` is training, once, and all requests over the horizon.
    """

    name: str
    role: Role
    eligible: bool
    why_not: str | None
    dev: DevScore
    test: TestScore | None
    usd_per_1k_requests: float | None
    usd_total: float | None
    p50_ms: float | None
    p95_ms: float | None
    train_seconds: float | None
    train_gpu_hours: float | None


@dataclass(frozen=True)
class Planned:
    """A comparison that was decided on before test was opened, and why it is made."""

    a: str
    b: str
    why: str


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on test: `difference` is score(a) - score(b) in the decision metric.

    `p_holm` is corrected for all comparisons of the decision; `at_most` is the one-sided 95% upper bound of the
    difference, which "not better by more than the margin" rests on.
    """

    a: str
    b: str
    why: str
    difference: float
    ci95: tuple[float, float]
    at_most: float
    p: float
    p_holm: float
    method: str


@dataclass(frozen=True)
class Dropped:
    """A strategy that left the race on dev after `n_seen` of `n` examples, and both mean scores on those.

    By the lead of `against`, above all, it was shown that it would not be chosen. `expected` is the score that it could
    be expected to have on all of dev.
    """

    strategy: str
    n_seen: int
    n: int
    against: str
    score: float
    against_score: float
    expected: float


@dataclass(frozen=True)
class Choice:
    """What was chosen on dev before test was opened, and what would be compared.

    `best_llm` is the best eligible strategy that is not a baseline. `not_shown_worse` are the strategies that dev does
    not show to be worse than the best by more than the margin; `within_margin` those of them that also scored within
    the margin of the best, of which the cheapest was chosen. `ineligible` maps the others to why they are not eligible.
    `dropped` left the race on dev: they could not be chosen, but may be compared. `optimism` is by how much the dev
    score of the strategy flatters it because it was chosen on dev; None where that could not be estimated.
    """

    strategy: str
    best_on_dev: str
    best_baseline: str | None
    best_llm: str | None
    runner_up: str | None
    not_shown_worse: tuple[str, ...]
    within_margin: tuple[str, ...]
    ineligible: Mapping[str, str]
    comparisons: tuple[Planned, ...]
    margin: float
    written_at: str
    dropped: tuple[Dropped, ...] = ()
    optimism: float | None = None


@dataclass(frozen=True)
class BreakEven:
    """The request volume above which `cheaper_above` costs less in all than `cheaper_below`."""

    cheaper_below: str
    cheaper_above: str
    requests: float


@dataclass(frozen=True)
class Decision:
    """The verdict with everything it rests on.

    `winner` is what to use: the chosen strategy after `adopt`, the cheapest of the tied after `tie`, a baseline after
    `baseline`, and after `inconclusive` the strategy chosen on dev, provisionally. `chosen_before_test` names the
    strategy written down before test was opened. `target_met` is true when the 95% interval of the winner's test score
    lies at or above the target, false when the score itself is below it, and null in between or without a target.
    `more_test_examples`: how many further test examples would settle an inconclusive or tied result at 80% power, if
    the observed difference is the true one; None when not applicable or hopeless. `minimum_detectable_difference`: the
    smallest true difference on test between two strategies that this test would find with 80% power in one comparison;
    1.0 when test is too small to find any. `spending` is what making the decision took; None for predictions made
    elsewhere.
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
    spending: Spending | None = None
