"""Draw cost against requests per month, both logarithmic, and the volumes where the winner's cost meets others'."""

from markupsafe import Markup

from llmtl.costs import CostLine, Crossing
from llmtl.report import svg, wording
from llmtl.report.charts.axes import Ending, Plot, money_tick, written_count
from llmtl.report.charts.placing import Box
from llmtl.report.money import Money
from llmtl.strategy import Role

_DECADES = 2


def volume_chart(money: Money, *, width: float, name: str) -> Markup | None:
    """Draw the chart around the expected volume; None if fewer than two strategies cost anything."""
    expected, months = money.prices.requests_per_month, money.prices.months
    roles = {bill.result.name: bill.result.role for bill in money.bills}
    winner = next((bill.result.name for bill in money.bills if bill.winner), None)
    lines = [line for line in money.lines if line.usd_per_1k_requests > 0]
    if len(lines) < 2 or expected <= 0:
        return None
    shown = [item for item in money.crossings if 1e-4 < item.requests_per_month / expected < 1e4]
    volumes = [expected, *(item.requests_per_month for item in shown)]
    low, high = min(volumes) / 10**_DECADES, max(volumes) * 10**_DECADES
    height = 380.0 if width >= 500 else 360.0
    room = max(svg.text_width(line.name, 13) for line in lines) + 14
    frame = Box(62, 44, width - room, height - 52)
    costs = [line.usd_per_month(volume, months=months) for line in lines for volume in (low, high)]
    plot = Plot.of(frame, (low, high), (min(costs) / 1.5, max(costs) * 1.5), log_across=True, log_up=True)
    title = "Cost per month against requests per month"
    return svg.picture(
        (width, height),
        name,
        plot.left_axis("USD per month, logarithmic", plot.log_ticks_up(), money_tick),
        plot.bottom_axis("requests per month, logarithmic", plot.log_ticks_across(), written_count),
        plot.upright(expected, "expected", reach=0, above=8),
        *(_line(line, plot, months=months, role=roles[line.name], winner=line.name == winner) for line in lines),
        *(_dot(item, plot) for item in shown),
        *plot.names(
            Ending(
                plot.up(line.usd_per_month(high, months=months)),
                line.name,
                "name" if line.name == winner else "label",
            )
            for line in lines
        ),
        title=title,
        description=f"{title}. {' '.join(money.facts)}",
    )


def _line(line: CostLine, plot: Plot, *, months: float, role: Role, winner: bool) -> Markup:
    class_ = "cost-line strong-line" if winner else "cost-line"
    drawn = plot.curve(lambda volume: line.usd_per_month(volume, months=months), class_) or Markup("")
    once, each = wording.usd(line.fixed_usd), wording.usd(line.usd_per_1k_requests)
    return svg.group(drawn, class_=f"role-{role.value}", tip=f"{line.name}: {once} once, {each} per 1,000 requests")


def _dot(crossing: Crossing, plot: Plot) -> Markup:
    tip = (
        f"{wording.count(crossing.requests_per_month)} requests per month: above, {crossing.cheaper_above} costs less "
        f"than {crossing.cheaper_below}"
    )
    return plot.dot(crossing.requests_per_month, crossing.usd_per_month, radius=5.0, class_="crossing", tip=tip)
