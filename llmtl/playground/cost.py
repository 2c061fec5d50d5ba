"""What every strategy costs at any volume and price, and from which volume on the winner costs less than each other.

fitting + requests x price of one request, as in `llmtl.costs`, which does the arithmetic. Not covered: idle machines,
staff and discounts, as there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.costs import PriceConfig, break_even, usd_for_seconds
from llmtl.playground.page_content import StrategyCost
from llmtl.report import wording

DAYS_PER_MONTH = 365.25 / 12


@dataclass(frozen=True)
class Priced:
    """One strategy at the chosen prices, in USD."""

    name: str
    role: str
    fitting: float
    per_request: float

    def total(self, requests: float) -> float:
        """Add up fitting and `requests` requests, USD."""
        return self.fitting + self.per_request * requests


@dataclass(frozen=True)
class CostRow:
    """One strategy beside the winner: `crossing` is the number of requests at which both cost the same, if any.

    `reading` says in a few words which of the two costs less, and `reached_after` when the crossing is reached.
    """

    priced: Priced
    month: float
    in_all: float
    crossing: float | None
    reached_after: str
    reading: str


@dataclass(frozen=True)
class CostView:
    """Everything the cost panel says, worked out for one setting of the sliders."""

    winner: str
    prices: PriceConfig
    rows: tuple[CostRow, ...]
    headline: str
    crossing: float | None
    against: str | None
    reached_after: str


def price(cost: StrategyCost, prices: PriceConfig) -> Priced:
    """Price a strategy, USD."""
    first = price(cost.first, prices) if cost.first is not None else None
    return Priced(
        name=cost.name,
        role=cost.role,
        fitting=(first.fitting if first else 0.0)
        + cost.paid_for_fitting
        + usd_for_seconds(cost.train_seconds, device=cost.train_device, prices=prices),
        per_request=(first.per_request if first else 0.0)
        + cost.paid_per_request
        + usd_for_seconds(cost.seconds_per_request, device=cost.device, prices=prices),
    )


def cost_view(costs: Sequence[StrategyCost], *, winner: str, prices: PriceConfig) -> CostView:
    """Work out the cost panel for these prices and this volume; `winner` must be among the costs."""
    priced = {cost.name: price(cost, prices) for cost in costs}
    mine = priced[winner]
    rows = tuple(_row(mine, other, prices) for other in priced.values())
    nearest = _telling(rows, mine)
    return CostView(
        winner=winner,
        prices=prices,
        rows=tuple(sorted(rows, key=lambda row: row.in_all)),
        headline=_headline(nearest, mine, prices) if nearest else _never(rows, mine),
        crossing=nearest.crossing if nearest else None,
        against=nearest.priced.name if nearest else None,
        reached_after=nearest.reached_after if nearest else wording.NOTHING,
    )


def crossing(mine: Priced, other: Priced) -> float | None:
    """Find the number of requests at which two strategies cost the same in all, if there is one."""
    return break_even(mine.fitting, mine.per_request, fixed_b=other.fitting, per_request_b=other.per_request)


def after(requests: float, prices: PriceConfig) -> str:
    """Say how long it takes until there have been so many requests: `12 days`."""
    if prices.requests_per_month <= 0:
        return "never, without requests"
    days = requests / prices.requests_per_month * DAYS_PER_MONTH
    if days < 1:
        return "less than a day"
    if days < 60:
        return wording.plural(round(days), "day")
    if days < 730:
        return wording.plural(round(days / DAYS_PER_MONTH), "month")
    return wording.plural(round(days / 365.25), "year") if days < 36525 else "more than 100 years"


def _row(mine: Priced, other: Priced, prices: PriceConfig) -> CostRow:
    at = None if other.name == mine.name else crossing(mine, other)
    return CostRow(
        priced=other,
        month=other.per_request * prices.requests_per_month,
        in_all=other.total(prices.requests),
        crossing=at,
        reached_after="" if at is None else after(at, prices),
        reading="the winner" if other.name == mine.name else _reading(mine, other, at=at),
    )


def _reading(mine: Priced, other: Priced, *, at: float | None) -> str:
    ahead = (other.fitting - mine.fitting, other.per_request - mine.per_request)
    if at is not None:
        return f"{'dearer' if ahead[1] > 0 else 'cheaper'} above {wording.plural(at, 'request')}"
    if not any(ahead):
        return "the same at every volume"
    return f"{'dearer' if min(ahead) >= 0 else 'cheaper'} at every volume"


def _telling(rows: Sequence[CostRow], mine: Priced) -> CostRow | None:
    """Return the crossing to speak of first: where the winner has become cheaper than all that it ever overtakes.

    Where the winner overtakes nothing, it is the first volume at which another becomes cheaper than the winner.
    """
    crossed = [(row.crossing, row) for row in rows if row.crossing is not None]
    overtaken = [pair for pair in crossed if mine.per_request < pair[1].priced.per_request]
    if overtaken:
        return max(overtaken, key=lambda pair: pair[0])[1]
    return min(crossed, key=lambda pair: pair[0])[1] if crossed else None


def _headline(row: CostRow, mine: Priced, prices: PriceConfig) -> str:
    first, second = (mine, row.priced) if mine.per_request < row.priced.per_request else (row.priced, mine)
    return (
        f"Above {wording.plural(row.crossing or 0, 'request')} in all {first.name} costs less than {second.name}: "
        f"{row.reached_after} at {wording.count(prices.requests_per_month)} requests per month."
    )


def _never(rows: Sequence[CostRow], mine: Priced) -> str:
    others = [row.priced for row in rows if row.priced.name != mine.name]
    if all(other.per_request == mine.per_request and other.fitting == mine.fitting for other in others):
        return "At these prices all strategies cost the same."
    return f"At these prices no other strategy breaks even with {mine.name}: which costs less holds at any volume."
