"""What every strategy costs at any volume and price, and from which volume on the winner costs less than each other.

`llmtl.costs` does the arithmetic, as for the report. Not covered: staff and discounts, as there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.costs import CostLine, PriceConfig, Pricing, crossing
from llmtl.playground.page_content import StrategyCost
from llmtl.report import wording


@dataclass(frozen=True)
class Priced:
    """One strategy at the chosen prices: its cost at any volume, and at the chosen one how many machines it takes."""

    name: str
    role: str
    line: CostLine
    prices: PriceConfig

    @property
    def fitting(self) -> float:
        """Give what fitting cost once, USD."""
        return self.line.fixed_usd

    @property
    def month(self) -> float:
        """Price a month of the chosen volume without fitting, USD."""
        return self.line.running.usd_per_month(self.prices.requests_per_month)

    @property
    def machines(self) -> int:
        """Count the machines at the chosen volume."""
        return self.line.running.machines(self.prices.requests_per_month)

    @property
    def in_all(self) -> float:
        """Add up fitting and all months, USD."""
        return self.fitting + self.month * self.prices.months

    def at(self, requests_per_month: float) -> float:
        """Price a month of another volume, fitting spread over the months, USD."""
        return self.line.usd_per_month(requests_per_month, months=self.prices.months)


@dataclass(frozen=True)
class CostRow:
    """One strategy beside the winner: `crossing` is the monthly volume where it changes who costs less, if any.

    `reading` says in a few words which of the two costs less.
    """

    priced: Priced
    crossing: float | None
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


def price(cost: StrategyCost, prices: PriceConfig) -> Priced | None:
    """Price a strategy; None where its seconds or those of its fitting are not known."""
    pricing = Pricing(prices)
    fitting, running = pricing.fitting(cost.used), pricing.running(cost.used)
    if fitting is None or running is None:
        return None
    return Priced(cost.name, cost.role, CostLine(cost.name, fitting, running), prices)


def cost_view(costs: Sequence[StrategyCost], *, winner: str, prices: PriceConfig) -> CostView:
    """Work out the cost panel for these prices and this volume; the cost of `winner` must be known."""
    known = (price(cost, prices) for cost in costs)
    priced = {item.name: item for item in known if item is not None}
    mine = priced[winner]
    rows = tuple(_row(mine, other) for other in priced.values())
    nearest = _telling(rows)
    return CostView(
        winner=winner,
        prices=prices,
        rows=tuple(sorted(rows, key=lambda row: row.priced.in_all)),
        headline=_headline(nearest, mine) if nearest else _never(rows, mine),
        crossing=nearest.crossing if nearest else None,
        against=nearest.priced.name if nearest else None,
    )


def _row(mine: Priced, other: Priced) -> CostRow:
    if other.name == mine.name:
        return CostRow(other, None, "the winner")
    found = crossing(mine.line, other.line, months=mine.prices.months)
    if found is not None:
        dearer = found.cheaper_above == mine.name
        where = f"above about {wording.about(found.requests_per_month)} requests per month"
        return CostRow(other, found.requests_per_month, f"{'dearer' if dearer else 'cheaper'} {where}")
    ahead = other.in_all - mine.in_all
    if not ahead:
        return CostRow(other, None, "the same")
    return CostRow(other, None, f"{'dearer' if ahead > 0 else 'cheaper'} at every volume")


def _telling(rows: Sequence[CostRow]) -> CostRow | None:
    """Return the crossing to speak of first: where the winner has become cheaper than all that it ever overtakes.

    Where the winner overtakes nothing, it is the first volume at which another becomes cheaper than the winner.
    """
    crossed = [(row.crossing, row) for row in rows if row.crossing is not None]
    overtaken = [pair for pair in crossed if pair[1].reading.startswith("dearer")]
    if overtaken:
        return max(overtaken, key=lambda pair: pair[0])[1]
    return min(crossed, key=lambda pair: pair[0])[1] if crossed else None


def _headline(row: CostRow, mine: Priced) -> str:
    first, second = (mine, row.priced) if row.reading.startswith("dearer") else (row.priced, mine)
    return (
        f"Above about {wording.about(row.crossing or 0)} requests per month {first.name} costs less than {second.name}."
    )


def _never(rows: Sequence[CostRow], mine: Priced) -> str:
    others = [row.priced for row in rows if row.priced.name != mine.name]
    if all(other.in_all == mine.in_all for other in others):
        return "At these prices all strategies cost the same."
    return f"At these prices no other strategy breaks even with {mine.name}: which costs less holds at any volume."
