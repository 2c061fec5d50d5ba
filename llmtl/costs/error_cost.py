"""Expected cost in all over the cost of one error: which strategy is cheapest where, and at which cost that changes.

A strategy costs a sum whatever it answers and makes a number of errors, so its total is a straight line over the cost
of one error, and the cheapest one follows the lower envelope of the lines. Not covered: how many errors there are, and
how sure that is (`llmtl.decision.expected_cost`).
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorLine:
    """What one strategy costs over the horizon: `usd` without errors, and so many `errors`."""

    name: str
    usd: float
    errors: float

    def usd_total(self, usd_per_error: float) -> float:
        """Add up both, in USD."""
        return self.usd + self.errors * usd_per_error


@dataclass(frozen=True)
class ErrorCrossing:
    """The cost of one error above which `above` costs less in all than `below`, in USD."""

    below: str
    above: str
    usd_per_error: float


def cheapest_by_error_cost(lines: Sequence[ErrorLine], usd_per_error: float) -> str:
    """Name the strategy that costs least in all at a cost of one error, the first of equal ones."""
    return min(lines, key=lambda line: line.usd_total(usd_per_error)).name


def error_crossings(lines: Sequence[ErrorLine]) -> tuple[ErrorCrossing, ...]:
    """Find where the cheapest strategy changes as an error costs more, from nothing upwards."""
    current = min(lines, key=lambda line: (line.usd, line.errors))
    found: list[ErrorCrossing] = []
    while True:
        better = [line for line in lines if line.errors < current.errors]
        if not better:
            return tuple(found)
        below = current
        at, _, current = min(
            ((_crossing(below, line), line.errors, line) for line in better), key=lambda each: each[:2]
        )
        found.append(ErrorCrossing(below.name, current.name, at))


def _crossing(cheaper: ErrorLine, righter: ErrorLine) -> float:
    """Solve usd_a + errors_a c = usd_b + errors_b c for c; b makes fewer errors."""
    return (righter.usd - cheaper.usd) / (cheaper.errors - righter.errors)
