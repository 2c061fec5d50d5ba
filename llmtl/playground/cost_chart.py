"""The monthly cost of every strategy by the requests per month, with the volumes where the winner's meets others'.

Not covered: which strategies to draw and at which prices (`cost`).
"""

from markupsafe import Markup

from llmtl.playground.cost import CostView
from llmtl.report import svg
from llmtl.report.charts.axes import Ending, EndNames, Plot
from llmtl.report.charts.cost_steps import axes, cost_path, steps_plot, tip
from llmtl.report.charts.placing import Box
from llmtl.report.money import near

_LABEL_STEP = 16.0
_LABEL_SIZE = 14.5


def cost_curves(view: CostView, *, width: float, name: str) -> Markup:
    """Draw the chart, both axes logarithmic; empty when nothing costs anything."""
    drawn = [row.priced for row in view.rows if row.priced.in_all > 0]
    expected, months = view.prices.requests_per_month, view.prices.months
    if not drawn or expected <= 0:
        return Markup("")
    height = 330.0 if width < 500 else 360.0
    ends = EndNames.of((priced.name for priced in drawn), width=width, size=_LABEL_SIZE)
    frame = Box(72, 30, width - ends.room - 14, height - 48)
    met = [row.crossing for row in view.rows if row.crossing is not None and near(row.crossing, expected)]
    plot = steps_plot([priced.line for priced in drawn], expected, met, months=months, frame=frame)
    ordered = sorted(drawn, key=lambda priced: priced.name == view.winner)
    return svg.picture(
        (width, height),
        name,
        *axes(plot),
        plot.upright(expected, "now", above=13),
        *(
            svg.group(
                cost_path(priced.line, plot, "cost-line", months=months),
                class_=f"role-{priced.role}{' winner' if priced.name == view.winner else ''}",
                tip=tip(priced.line),
            )
            for priced in ordered
        ),
        *_crossings(view, plot),
        *plot.names(
            [
                Ending(
                    plot.up(max(plot.up.low, priced.at(plot.across.high))),
                    priced.name,
                    "name" if priced.name == view.winner else "label",
                )
                for priced in drawn
            ],
            ends=ends,
            gap=_LABEL_STEP,
        ),
        title="Cost per month, fitting spread over the months, by the requests per month",
        description=" ".join(f"{row.priced.name}: {row.reading}." for row in view.rows),
    )


def _crossings(view: CostView, plot: Plot) -> list[Markup]:
    mine = next(row.priced for row in view.rows if row.priced.name == view.winner)
    found = [(row, row.crossing, mine.at(row.crossing)) for row in view.rows if row.crossing is not None]
    return [
        plot.dot(
            requests,
            usd,
            radius=5.0 if row.priced.name == view.against else 3.5,
            class_="crossing told" if row.priced.name == view.against else "crossing",
            tip=f"{row.priced.name}: {row.reading}",
        )
        for row, requests, usd in found
        if plot.across.low <= requests <= plot.across.high and plot.up.low <= usd <= plot.up.high
    ]
