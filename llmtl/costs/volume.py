"""Cost a month over the request volume: what is cheapest where, and at which volumes strategies cross.

A strategy costs a fixed sum, spread evenly over the months of the horizon, and a sum for each request. Not covered:
whole machines that stand idle; requests are priced by their share of a machine at full use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.costs.usd import break_even


@dataclass(frozen=True)
class CostLine:
    """What one strategy costs: `fixed_usd` once, `usd_per_1k_requests` for ever."""

    name: str
    fixed_usd: float
    usd_per_1k_requests: float

    def usd_per_month(self, requests_per_month: float, *, months: float) -> float:
        """Price one month at a volume, USD, the fixed sum spread over the months."""
        return self.fixed_usd / months + requests_per_month * self.usd_per_1k_requests / 1000


@dataclass(frozen=True)
class Crossing:
    """The monthly volume above which `cheaper_above` costs less than `cheaper_below`."""

    cheaper_below: str
    cheaper_above: str
    requests_per_month: float
    usd_per_month: float


def crossings(lines: Sequence[CostLine], of: str, *, months: float) -> tuple[Crossing, ...]:
    """Find the volumes at which the strategy named `of` costs as much as each other one, by rising volume."""
    one = next(line for line in lines if line.name == of)
    found = []
    for other in lines:
        requests = _crossing(one, other, months=months)
        if requests is not None:
            # the one with the smaller sum up front is the cheaper one below
            below, above = sorted((one, other), key=lambda line: line.fixed_usd)
            found.append(Crossing(below.name, above.name, requests, one.usd_per_month(requests, months=months)))
    return tuple(sorted(found, key=lambda crossing: crossing.requests_per_month))


def cheapest_by_volume(lines: Sequence[CostLine], requests_per_month: float, *, months: float) -> str:
    """Name the strategy that costs least at a volume, the first of equal ones."""
    return min(lines, key=lambda line: line.usd_per_month(requests_per_month, months=months)).name


def _crossing(a: CostLine, b: CostLine, *, months: float) -> float | None:
    """Return the monthly volume at which two strategies cost the same, or None."""
    return break_even(
        a.fixed_usd / months,
        a.usd_per_1k_requests / 1000,
        fixed_b=b.fixed_usd / months,
        per_request_b=b.usd_per_1k_requests / 1000,
    )
