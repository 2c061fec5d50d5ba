"""Draw cost per month against requests per month, and the volumes from which on the winner costs less or more."""

from markupsafe import Markup

from llmtl.costs import Crossing
from llmtl.report import svg, wording
from llmtl.report.charts.axes import Ending, EndNames, Plot
from llmtl.report.charts.cost_steps import axes, cost_path, steps_plot, tip
from llmtl.report.charts.placing import Box
from llmtl.report.money import Money, near


def volume_chart(money: Money, *, width: float, name: str) -> Markup | None:
    """Draw the chart around the expected volume; None if fewer than two strategies have a known cost."""
    expected, months = money.prices.requests_per_month, money.prices.months
    roles = {bill.result.name: bill.result.role for bill in money.bills}
    winner = next((bill.result.name for bill in money.bills if bill.winner), None)
    lines = money.lines
    if len(lines) < 2 or expected <= 0 or not any(line.usd_per_month(expected, months=months) for line in lines):
        return None
    shown = [item for item in money.crossings if near(item.requests_per_month, expected)]
    height = 380.0 if width >= 500 else 360.0
    ends = EndNames.of((line.name for line in lines), width=width, size=14.5)
    frame = Box(70, 44, width - ends.room - 14, height - 52)
    met = [item.requests_per_month for item in shown]
    plot = steps_plot(lines, expected, met, months=months, frame=frame)
    title = "Cost per month against requests per month"
    ordered = sorted(lines, key=lambda line: line.name == winner)
    return svg.picture(
        (width, height),
        name,
        *axes(plot),
        plot.upright(expected, "expected", reach=0, above=8),
        *(
            svg.group(
                cost_path(line, plot, f"cost-line{' strong-line' if line.name == winner else ''}", months=months),
                class_=f"role-{roles[line.name].value}",
                tip=tip(line),
            )
            for line in ordered
        ),
        *(_dot(item, plot) for item in shown),
        *plot.names(
            [
                Ending(
                    plot.up(max(plot.up.low, line.usd_per_month(plot.across.high, months=months))),
                    line.name,
                    "name" if line.name == winner else "label",
                )
                for line in lines
            ],
            ends=ends,
        ),
        title=title,
        description=f"{title}. {' '.join(money.facts)}",
    )


def _dot(crossing: Crossing, plot: Plot) -> Markup:
    told = (
        f"{wording.about(crossing.requests_per_month)} requests per month: above, {crossing.cheaper_above} costs less "
        f"than {crossing.cheaper_below}"
    )
    usd = min(max(crossing.usd_per_month, plot.up.low), plot.up.high)
    return plot.dot(crossing.requests_per_month, usd, radius=5.0, class_="crossing", tip=told)
