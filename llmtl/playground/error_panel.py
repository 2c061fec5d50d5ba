"""Which strategy is the best at the chosen cost of a wrong answer, and what it is then expected to cost a month.

Shares of wrong answers are those that the decision has from test; costs follow the sliders. Not covered: labels, whose
price no slider sets, and how sure the shares are, which the report shows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from llmtl.costs import ErrorLine, PriceConfig, cheapest_by_error_cost, error_crossings
from llmtl.decision.totals import ErrorRate, Switch, ValueOfAccuracy
from llmtl.playground.cost import price
from llmtl.playground.page_content import StrategyCost
from llmtl.report import wording
from llmtl.report.charts.value_of_accuracy import value_chart
from llmtl.report.wrong_answers import advice, per_error
from llmtl.strategy import Role

USUAL = 0.01
"""Where the slider stands when the recipe does not say what an error costs, USD."""


@dataclass(frozen=True)
class ErrorView:
    """Everything the panel says for one setting of the sliders."""

    headline: str
    advice: str
    best: str
    usd_per_month: float
    usd_of_errors: float
    value: ValueOfAccuracy
    roles: Mapping[str, Role]
    months: float
    usd_per_error: float

    def chart(self, *, width: float, name: str) -> Markup:
        """Draw expected cost against the cost of an error, with the slider's place."""
        return value_chart(self.value, self.roles, months=self.months, width=width, name=name, at=self.usd_per_error)


def error_view(
    costs: Sequence[StrategyCost], measured: ValueOfAccuracy | None, prices: PriceConfig, usd_per_error: float
) -> ErrorView | None:
    """Work out the panel at these prices; None where fewer than two strategies can be compared."""
    wrong = {} if measured is None else {item.strategy: item for item in measured.strategies}
    priced = [price(cost, prices) for cost in costs if cost.name in wrong]
    known = [item for item in priced if item is not None]
    if measured is None or len(known) < 2 or prices.requests <= 0:
        return None
    rates = tuple(replace(wrong[item.name], usd_spent=item.in_all) for item in known)
    lines = [_line(rate, prices) for rate in rates]
    value = replace(measured, requests=prices.requests, strategies=rates, switches=_switches(lines), left_out=())
    best = cheapest_by_error_cost(lines, usd_per_error)
    line = next(line for line in lines if line.name == best)
    month, errors = line.usd_total(usd_per_error) / prices.months, line.errors * usd_per_error / prices.months
    return ErrorView(
        headline=(
            f"If a wrong answer costs {per_error(usd_per_error)}, {best} costs least in all: {wording.usd(month)} a "
            f"month expected, {wording.usd(errors)} of it for wrong answers."
        ),
        advice=advice(value),
        best=best,
        usd_per_month=month,
        usd_of_errors=errors,
        value=value,
        roles={item.name: Role(item.role) for item in known},
        months=prices.months,
        usd_per_error=usd_per_error,
    )


def _line(rate: ErrorRate, prices: PriceConfig) -> ErrorLine:
    return ErrorLine(rate.strategy, rate.usd_spent, prices.requests * rate.wrong)


def _switches(lines: Sequence[ErrorLine]) -> tuple[Switch, ...]:
    """Return the switching points at these prices, as points alone."""
    return tuple(
        Switch(item.below, item.above, item.usd_per_error, (item.usd_per_error, item.usd_per_error), pays=1.0)
        for item in error_crossings(lines)
    )
