"""The total cost of every strategy by the number of requests, with the break-even points of the winner.

Not covered: which strategies to draw and at which prices (`cost`).
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from llmtl.playground.cost import CostView, Priced
from llmtl.report import svg, wording
from llmtl.report.charts.axes import STROKED, Ending, Plot, written_count
from llmtl.report.charts.placing import Box

_LABEL_STEP = 16.0
_MOST_DECADES = 6


def cost_curves(view: CostView, *, width: float, name: str) -> Markup:
    """Draw the chart: requests across and USD upwards, both logarithmic; empty when nothing costs anything."""
    drawn = [row.priced for row in view.rows if row.in_all > 0]
    if not drawn:
        return Markup("")
    narrow = width < 500
    height = 330.0 if narrow else 360.0
    frame = Box(72, 30, width - (112 if narrow else 124), height - 48)
    across = _requests(view)
    plot = Plot.of(frame, across, _dollars(drawn, across), log_across=True, log_up=True)
    ordered = sorted(drawn, key=lambda priced: priced.name == view.winner)
    return svg.picture(
        (width, height),
        name,
        plot.left_axis("USD in all", plot.log_ticks_up(), wording.usd_tick, top=14),
        plot.bottom_axis("requests in all", plot.log_ticks_across(), written_count, below=STROKED._replace(name=40)),
        _expected(view, plot),
        *(_line(priced, plot, winner=priced.name == view.winner) for priced in ordered),
        *_crossings(view, plot),
        *plot.names(_endings(drawn, plot, winner=view.winner), gap=_LABEL_STEP),
        title="Cost of fitting and of all requests, by the number of requests",
        description=" ".join(f"{row.priced.name}: {row.reading}." for row in view.rows),
    )


def _requests(view: CostView) -> tuple[float, float]:
    crossings = [row.crossing for row in view.rows if row.crossing]
    shown = [value for value in (*crossings, view.prices.requests) if value >= 1]
    low = 10.0 ** math.floor(math.log10(min(shown, default=100.0)) - 0.5)
    high = 10.0 ** math.ceil(math.log10(max(shown, default=1e6)) + 0.3)
    low = max(1.0, low, high / 10**_MOST_DECADES / 10)
    return low, max(high, 100 * low)


def _dollars(drawn: Sequence[Priced], requests: tuple[float, float]) -> tuple[float, float]:
    ends = [priced.total(at) for priced in drawn for at in requests]
    high = 10.0 ** math.ceil(math.log10(max(ends)))
    low = 10.0 ** math.floor(math.log10(min(end for end in ends if end > 0)))
    return max(low, high / 10**_MOST_DECADES), high


def _expected(view: CostView, plot: Plot) -> Markup:
    """Return the line at the volume that the sliders expect, where it is on the axis."""
    requests = view.prices.requests
    if not plot.across.low <= requests <= plot.across.high:
        return Markup("")
    anchor = "end" if plot.across(requests) > plot.frame.right - 50 else "middle"
    return plot.upright(requests, f"{view.prices.months:g} months", above=13, anchor=anchor)


def _line(priced: Priced, plot: Plot, *, winner: bool) -> Markup:
    drawn = plot.curve(priced.total, "cost-line")
    if drawn is None:
        return Markup("")
    tip = f"{priced.name}: {wording.usd(priced.fitting)} once and {wording.usd(1000 * priced.per_request)} per 1,000"
    return svg.group(drawn, class_=f"role-{priced.role}{' winner' if winner else ''}", tip=tip)


def _crossings(view: CostView, plot: Plot) -> list[Markup]:
    mine = next(row.priced for row in view.rows if row.priced.name == view.winner)
    crossed = [
        (row, row.crossing, mine.total(row.crossing))
        for row in view.rows
        if row.crossing is not None and plot.across.low <= row.crossing <= plot.across.high
    ]
    return [
        plot.dot(
            requests,
            total,
            radius=5.0 if row.priced.name == view.against else 3.5,
            class_="crossing told" if row.priced.name == view.against else "crossing",
            tip=f"{row.priced.name}: {row.reading}",
        )
        for row, requests, total in crossed
        if plot.up.low <= total <= plot.up.high
    ]


def _endings(drawn: Sequence[Priced], plot: Plot, *, winner: str) -> list[Ending]:
    totals = {priced.name: priced.total(plot.across.high) for priced in drawn}
    return [
        Ending(plot.up(total), name, "name" if name == winner else "label")
        for name, total in totals.items()
        if total >= plot.up.low
    ]
