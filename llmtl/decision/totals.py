"""What strategies cost in all, errors included, as values: in `choice.json` and `decision.json`.

Not covered: working them out (`expected_cost`).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ExpectedTotal:
    """What one strategy is expected to cost over the horizon, USD.

    `usd_spent` is machines or tokens, fitting, and labels where they have a price; `usd_errors` is what its expected
    `errors` cost. `ci95` is the 95% band of the total, and `cheapest` the probability that it is the lowest of all.
    """

    strategy: str
    usd_spent: float
    errors: float
    usd_errors: float
    ci95: tuple[float, float]
    cheapest: float

    @property
    def usd_total(self) -> float:
        """Add up both, in USD."""
        return self.usd_spent + self.usd_errors


@dataclass(frozen=True)
class Saving:
    """By how much the total of a is expected to be below that of b, USD, with its 95% band.

    `probability` is that of a's total being the lower one.
    """

    a: str
    b: str
    usd: float
    ci95: tuple[float, float]
    probability: float


@dataclass(frozen=True)
class ExpectedTotals:
    """Expected total costs at a known cost of errors, in table order, from `n` examples of one split.

    `by_label` says that errors are priced by a table of labels. `left_out` have no cost, did not answer all of these
    examples, or may not be chosen. `savings` are those of the comparisons that a verdict rests on, and none on dev.
    """

    split: str
    n: int
    requests: float
    usd_per_error: float
    by_label: bool
    strategies: tuple[ExpectedTotal, ...]
    left_out: tuple[str, ...] = ()
    savings: tuple[Saving, ...] = ()

    def of(self, name: str) -> ExpectedTotal | None:
        """Find a strategy's total, or None where it is left out."""
        return next((item for item in self.strategies if item.strategy == name), None)


@dataclass(frozen=True)
class ErrorRate:
    """What a strategy costs without errors over the horizon, USD, and its share of wrong answers with its 95% band."""

    strategy: str
    usd_spent: float
    wrong: float
    ci95: tuple[float, float]


@dataclass(frozen=True)
class Switch:
    """The cost of one error above which `above` has a lower expected total than `below`, USD.

    `ci95` is the 95% band of the point where their totals cross. Its upper end is None where `above` may make no fewer
    errors, so that the totals may never cross; `pays` is the probability that they do.
    """

    below: str
    above: str
    usd_per_error: float
    ci95: tuple[float, float | None]
    pays: float


@dataclass(frozen=True)
class ValueOfAccuracy:
    """Which strategy has the lowest expected total at every cost of an error, from `n` examples of one split.

    `strategies` are in table order, `switches` by rising cost. `graded` says that an answer counts as the part of an
    error that its own score lacks. `left_out` have no cost, or did not answer these examples.
    """

    split: str
    n: int
    requests: float
    strategies: tuple[ErrorRate, ...]
    switches: tuple[Switch, ...]
    graded: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ErrorCostChange:
    """Above (or else below) this cost of an error, USD, another strategy has the lowest expected total on test."""

    usd_per_error: float
    strategy: str
    above: bool
    kind: Literal["error_cost"] = "error_cost"
