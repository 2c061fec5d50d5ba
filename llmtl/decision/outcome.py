"""The values a decision is made of: codes and numbers, no sentences.

Not covered: how they are reached (`choice`, `verdict`); `decision.json` and every sentence (`llmtl.report`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from llmtl.decision.broken_limits import Broken
from llmtl.decision.capability import AllZero, Incapable
from llmtl.decision.config import Goal
from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.forgotten import HarderEnglish
from llmtl.decision.label_care import LabelCare
from llmtl.decision.model_care import ModelCare
from llmtl.decision.one_draw import OneDraw, UnknownDraws
from llmtl.decision.outlook import BreakEven, Change
from llmtl.decision.promise import Automated, Ladder
from llmtl.decision.simultaneous import SimultaneousInterval
from llmtl.decision.strange_answers import StrangeAnswers
from llmtl.decision.totals import ExpectedTotals, ValueOfAccuracy
from llmtl.decision.transfer import Transfer
from llmtl.decision.unclear_costs import UnclearCost
from llmtl.findings import CascadeTrace, Cut
from llmtl.measured.forgetting import Forgetting
from llmtl.notebook_card import Carded
from llmtl.strategy import Role
from llmtl.task import Draw


class Verdict(StrEnum):
    """What to do."""

    ADOPT = "adopt"
    TIE = "tie"
    BASELINE = "baseline"
    INCONCLUSIVE = "inconclusive"


class Rule(StrEnum):
    """The rule that led to a verdict."""

    BETTER = "better"
    TIED = "tied"
    NOT_WORTH_MORE = "not_worth_more"
    NO_LLM = "no_llm"
    OPEN = "open"
    CONTRADICTED = "contradicted"
    ALONE = "alone"
    LOWER_TOTAL = "lower_total"
    TOTALS_TIED = "totals_tied"
    TOTALS_OPEN = "totals_open"
    TOTAL_CONTRADICTED = "total_contradicted"
    LARGER_SHARE = "larger_share"
    SHARES_TIED = "shares_tied"
    SHARE_NOT_WORTH_MORE = "share_not_worth_more"
    NO_SURE_LLM = "no_sure_llm"  # no language-model strategy that may be chosen says how sure it is
    SHARES_OPEN = "shares_open"
    SHARE_CONTRADICTED = "share_contradicted"
    NOT_CONFIRMED = "not_confirmed"  # test does not show that anything can be left to what would be used


class Purpose(StrEnum):
    """Why a comparison on test is made."""

    BEST_BASELINE = "best_baseline"  # the choice against the best baseline
    ZERO_SHOT = "zero_shot"  # the choice against zero-shot
    RUNNER_UP = "runner_up"  # the choice against the runner-up on dev
    SIMPLER_RIVAL = "simpler_rival"  # the choice against the best on dev of those that adapt a model less
    LLM_AGAINST_CHOICE = "llm_against_choice"  # dev chose a baseline: is the best language model better?
    CHEAPER_RIVAL = "cheaper_rival"  # a cheaper rival of the choice against the best baseline; no longer planned
    LLM_AGAINST_BASELINE = "llm_against_baseline"  # the best language model on dev against the best baseline


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

    With several draws, of which `seeds` is the number, the value is their mean, and the interval holds for further
    examples and draws. `draw` is what a draw is (`none` with several seeds: trainings, of earlier versions). With one,
    where a draw matters, the interval was widened for others, which move the score by a standard deviation of
    `draw_sd`.
    """

    __test__ = False  # pytest must not collect it

    value: float
    ci95: tuple[float, float]
    n: int
    failed: int
    seeds: int = 1
    draw: Draw = Draw.NONE
    draw_sd: float = 0.0


@dataclass(frozen=True)
class StrategyResult:
    """One strategy's row in the decision; costs at the recipe's prices. None is what nobody measured, or wrote before.

    `usd_total` is training and all requests of the horizon, `usd_per_month` a month of them on whole `machines`.
    `forgetting` is what a language model lost by being tuned.
    """

    name: str
    role: Role
    eligible: bool  # it breaks no constraint (`broken`), and did not leave the race untested
    dev: DevScore
    test: TestScore | None
    usd_per_1k_requests: float | None
    usd_total: float | None
    p50_ms: float | None
    p95_ms: float | None
    train_seconds: float | None
    train_gpu_hours: float | None
    broken: tuple[Broken, ...] = ()
    model: str = ""
    cuts: tuple[Cut, ...] = ()
    usd_per_month: float | None = None
    machines: int | None = None
    forgetting: Forgetting | None = None


@dataclass(frozen=True)
class Planned:
    """A comparison that was decided on before test was opened, and why it is made."""

    a: str
    b: str
    purpose: Purpose


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on test: `difference` is score(a) - score(b) in the decision metric.

    `p_holm` is corrected for all comparisons of the decision; `at_most` and `at_least` are the one-sided 95% bounds of
    the difference: "not better by more than the margin" rests on the upper one. `ci95` is of this comparison alone;
    `ci_simultaneous` holds together with the others' and excludes 0 just where `p_holm` is at most alpha. It is None in
    what earlier versions wrote. All were widened for other draws that move the difference by `draw_sd`, which is 0
    where no draw matters and where several were measured.
    """

    a: str
    b: str
    purpose: Purpose
    difference: float
    ci95: tuple[float, float]
    at_most: float
    p: float
    p_holm: float
    method: str
    at_least: float | None = None
    ci_simultaneous: SimultaneousInterval | None = None
    draw_sd: float = 0.0


@dataclass(frozen=True)
class Dropped:
    """A strategy that left the race on dev after `n_seen` of `n` examples, and both mean scores on those.

    By the lead of `against`, above all, it was shown that it would not be chosen. `expected` is the score that it could
    be expected to have on all of dev. `tried` prompts had been scored on `searched` dev examples each before the
    race, to find the strategy's own.
    """

    strategy: str
    n_seen: int
    n: int
    against: str
    score: float
    against_score: float
    expected: float
    tried: int = 0
    searched: int = 0


@dataclass(frozen=True)
class Choice:
    """What was chosen on dev before test was opened, and what would be compared.

    `best_llm` is the best eligible strategy that is not a baseline. `not_shown_worse` are the strategies that dev does
    not show to be worse than the best by more than the margin; `within_margin` those of them that also scored within
    the margin of the best. `expected_regret` is what using each eligible strategy is expected to forgo, in units of the
    metric, of which the least was chosen (`beliefs`); empty in choices of before. `barred` maps strategies that may not
    be chosen to the constraints they break.
    `dropped` left the race on dev: they could not be chosen, but may be compared. `optimism` is by how much the dev
    score of the strategy flatters it because it was chosen on dev; None where that could not be estimated.
    `search_optimism` is the same for the strategy's own search on dev, for its prompt or the point of its grid; None
    where it searched nothing. `labels_used` counts the labels of train and dev that a strategy takes, where that is
    known. `ladders` are the thresholds of confidence that test may confirm, `cascades` the strategies that
    were composed. With
    `expected_totals` the choice is the lowest of them, and not the one that the margin leads to.
    `goal` is what the choice was made by. With `automate` all that is said here of scores is of shares of inputs that
    can be left to a strategy: `expected_shares` are those that test is expected to confirm (`share_choice`), and who is
    not in `expected_regret` could not be chosen.
    """

    strategy: str
    best_on_dev: str
    best_baseline: str | None
    best_llm: str | None
    runner_up: str | None
    not_shown_worse: tuple[str, ...]
    within_margin: tuple[str, ...]
    comparisons: tuple[Planned, ...]
    margin: float
    written_at: str
    dropped: tuple[Dropped, ...] = ()
    optimism: float | None = None
    search_optimism: float | None = None
    barred: Mapping[str, tuple[Broken, ...]] = field(default_factory=dict)
    labels_used: Mapping[str, int] = field(default_factory=dict)
    ladders: tuple[Ladder, ...] = ()
    cascades: tuple[CascadeTrace, ...] = ()
    expected_regret: Mapping[str, float] = field(default_factory=dict)
    expected_totals: ExpectedTotals | None = None
    goal: Goal = Goal.SCORE
    expected_shares: Mapping[str, float] = field(default_factory=dict)


MANY_FAILED = 0.2
"""From this share of failures on, a score says more of failing than of the answers (our choice)."""


@dataclass(frozen=True)
class NoBaseline:
    """No baseline was measured, so whether a pre-trained model is needed at all is not known."""

    kind: Literal["no_baseline"] = "no_baseline"


@dataclass(frozen=True)
class TooSmallTest:
    """Test has too few examples to show differences below `detectable`; at 1.0 it can show none at all."""

    n: int
    detectable: float
    kind: Literal["too_small_test"] = "too_small_test"


@dataclass(frozen=True)
class Failures:
    """A strategy failed on some of the n test examples."""

    strategy: str
    failed: int
    n: int
    kind: Literal["failures"] = "failures"

    @property
    def many(self) -> bool:
        """Tell whether so many failed that its score says little of what its model could do."""
        return self.failed >= MANY_FAILED * self.n


@dataclass(frozen=True)
class Halved:
    """Prediction files marked no row as dev: the choice was made on a random half and tested on the other."""

    dev: int
    test: int
    kind: Literal["halved"] = "halved"


@dataclass(frozen=True)
class NoCost:
    """Prediction files gave no cost, so no strategy counts as cheaper."""

    kind: Literal["no_cost"] = "no_cost"


@dataclass(frozen=True)
class NoLatency:
    """Prediction files gave no latency for these strategies; of none means for none at all."""

    strategies: tuple[str, ...] = ()
    kind: Literal["no_latency"] = "no_latency"


Caution = Annotated[
    NoBaseline
    | TooSmallTest
    | Failures
    | Incapable
    | AllZero
    | Halved
    | NoCost
    | NoLatency
    | StrangeAnswers
    | OneDraw
    | UnknownDraws
    | CutRival
    | LabelCare
    | ModelCare
    | UnclearCost
    | HarderEnglish,
    Field(discriminator="kind"),
]
"""What a reader must know before trusting the verdict."""


@dataclass(frozen=True, repr=False)
class Decision(Carded):
    """The verdict with everything it rests on.

    `winner` is what to use: the chosen strategy after `adopt`, a baseline after `baseline`; after `tie`, of the tied,
    and after `inconclusive`, provisionally, the one with the least `expected_regret`: that of each tested strategy on
    dev and test together. `chosen_before_test` names the
    strategy written down before test was opened. `target_met` is true when the 95% interval of the winner's test score
    lies at or above the target, false when the score itself is below it, and null in between or without a target.
    `more_test_examples`: how many further test examples would settle an inconclusive or tied result at 80% power, if
    the observed difference is the true one; None when not applicable or hopeless. `minimum_detectable_difference`: the
    smallest true difference on test between two strategies that this test would find with 80% power in one comparison;
    1.0 when test is too small to find any.

    `rule` led to the verdict, and `hangs_on` are the pairs (a, b) that it was applied to; `cheapest_tied` is the
    cheapest of the tied, whether or not it may win. `requests` are those expected over the horizon, `grouped` says
    whether test examples come in groups. `value_of_accuracy` says which strategy is the best at which cost of an
    error; the verdict rests on `expected_totals` where the choice did.
    A decision of version 1 of `decision.json` has no rule: its sentences were kept instead.
    `automation` says how much can be left to each strategy alone at an error of at most
    `max_error_automated`; `transfer` what pre-training is worth, where a control was tested.
    Where the choice was made by that share (`choice.goal`), the verdict rests on `share_comparisons`, whose difference
    is that of the shares that such a test is expected to confirm; the `comparisons` of scores are for a reader.
    """

    task: str
    verdict: Verdict
    winner: str
    metric: str
    target: float | None
    target_met: bool | None
    margin: float
    chosen_before_test: str
    choice: Choice
    strategies: tuple[StrategyResult, ...]
    comparisons: tuple[Comparison, ...]
    minimum_detectable_difference: float
    more_test_examples: int | None
    break_even: tuple[BreakEven, ...]
    rule: Rule | None = None
    hangs_on: tuple[tuple[str, str], ...] = ()
    cheapest_tied: str | None = None
    alpha: float = 0.05
    requests: float | None = None
    grouped: bool = False
    changes: tuple[Change, ...] = ()
    cautions: tuple[Caution, ...] = ()
    value_of_accuracy: ValueOfAccuracy | None = None
    max_error_automated: float | None = None
    automation: tuple[Automated, ...] = ()
    expected_regret: Mapping[str, float] = field(default_factory=dict)
    expected_totals: ExpectedTotals | None = None
    share_comparisons: tuple[Comparison, ...] = ()
    transfer: tuple[Transfer, ...] = ()

    def result(self, name: str) -> StrategyResult:
        """Return a strategy's row."""
        return next(item for item in self.strategies if item.name == name)

    def dev_score(self, name: str) -> float:
        """Return the decision metric on dev, of those that left the race the one to expect on all of it."""
        left = next((item for item in self.choice.dropped if item.strategy == name), None)
        return left.expected if left else self.result(name).dev.value

    @property
    def n_test(self) -> int:
        """Return the number of test examples; 0 where nothing was tested."""
        return next((item.test.n for item in self.strategies if item.test), 0)
