"""The total cost of every strategy by the number of requests, with the break-even points of the winner.

Not covered: which strategies to draw and at which prices (`cost`).
"""

import math
from collections.abc import Sequence

from markupsafe import Markup

from llmtl.playground.cost import CostView, Priced
from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box

_SAMPLES = 60
_LABEL_STEP = 16.0
_MOST_DECADES = 6


def cost_curves(view: CostView, *, width: float, name: str) -> Markup:
    """Return the chart: requests across and USD upwards, both logarithmic; empty when nothing costs anything."""
    drawn = [row.priced for row in view.rows if row.in_all > 0]
    if not drawn:
        return Markup("")
    narrow = width < 500
    height = 330.0 if narrow else 360.0
    frame = Box(72, 30, width - (112 if narrow else 124), height - 48)
    across = _requests(view, frame)
    up = _dollars(drawn, across, frame=frame)
    ordered = sorted(drawn, key=lambda priced: priced.name == view.winner)
    return svg.picture(
        (width, height),
        name,
        _axes(across, up, frame=frame),
        _expected(view, across, frame=frame),
        *[_line(priced, across, up=up, winner=priced.name == view.winner) for priced in ordered],
        *_crossings(view, across, up=up),
        *_labels(drawn, across, up=up, frame=frame, winner=view.winner),
        title="Cost of fitting and of all requests, by the number of requests",
        description=" ".join(f"{row.priced.name}: {row.reading}." for row in view.rows),
    )


def _requests(view: CostView, frame: Box) -> svg.Scale:
    crossings = [row.crossing for row in view.rows if row.crossing]
    shown = [value for value in (*crossings, view.prices.requests) if value >= 1]
    low = 10.0 ** math.floor(math.log10(min(shown, default=100.0)) - 0.5)
    high = 10.0 ** math.ceil(math.log10(max(shown, default=1e6)) + 0.3)
    low = max(1.0, low, high / 10**_MOST_DECADES / 10)
    return svg.Scale(low, max(high, 100 * low), frame.left, frame.right, log=True)


def _dollars(drawn: Sequence[Priced], across: svg.Scale, *, frame: Box) -> svg.Scale:
    ends = [priced.total(at) for priced in drawn for at in (across.low, across.high)]
    high = 10.0 ** math.ceil(math.log10(max(ends)))
    low = 10.0 ** math.floor(math.log10(min(end for end in ends if end > 0)))
    return svg.Scale(max(low, high / 10**_MOST_DECADES), high, frame.bottom, frame.top, log=True)


def _axes(across: svg.Scale, up: svg.Scale, *, frame: Box) -> Markup:
    parts = [svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), class_="axis-line")]
    for tick in _thinned(svg.log_ticks(up.low, up.high), 7):
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), wording.usd_tick(tick), class_="tick", anchor="end"))
    for tick in _thinned(svg.log_ticks(across.low, across.high), max(2, int((frame.right - frame.left) / 70))):
        parts.append(svg.line((across(tick), frame.bottom), (across(tick), frame.bottom + 5), class_="axis-line"))
        label = _short(tick)
        parts.append(svg.text((across(tick), frame.bottom + 19), label, class_="tick", anchor="middle"))
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text((middle, frame.bottom + 40), "requests in all", class_="axis", anchor="middle"))
    parts.append(svg.text((8, 14), "USD in all", class_="axis"))
    return svg.group(*parts)


def _thinned(ticks: Sequence[float], most: int) -> Sequence[float]:
    return ticks[:: -(-len(ticks) // most)] if ticks else ticks


def _short(value: float) -> str:
    """Return a power of ten in few characters: `1k`, `10M`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:,.0f}{unit}"
    return f"{value:.0f}"


def _expected(view: CostView, across: svg.Scale, *, frame: Box) -> Markup:
    """Return the line at the volume that the sliders expect."""
    requests = view.prices.requests
    if not across.low <= requests <= across.high:
        return Markup("")
    x = across(requests)
    label = f"{view.prices.months:g} months"
    anchor = "end" if x > frame.right - 50 else "middle"
    return svg.group(
        svg.line((x, frame.top - 8), (x, frame.bottom), class_="target"),
        svg.text((x, frame.top - 13), label, class_="target-label", anchor=anchor),
    )


def _line(priced: Priced, across: svg.Scale, *, up: svg.Scale, winner: bool) -> Markup:
    steps = [across.low * (across.high / across.low) ** (index / (_SAMPLES - 1)) for index in range(_SAMPLES)]
    totals = [(requests, priced.total(requests)) for requests in steps]
    points = [(across(requests), up(total)) for requests, total in totals if up.low <= total <= up.high]
    if len(points) < 2:
        return Markup("")
    tip = f"{priced.name}: {wording.usd(priced.fitting)} once and {wording.usd(1000 * priced.per_request)} per 1,000"
    class_ = f"role-{priced.role}{' winner' if winner else ''}"
    return svg.group(svg.path(points, "cost-line"), class_=class_, tip=tip)


def _crossings(view: CostView, across: svg.Scale, *, up: svg.Scale) -> list[Markup]:
    mine = next(row.priced for row in view.rows if row.priced.name == view.winner)
    dots = []
    for row in view.rows:
        if row.crossing is None or not across.low <= row.crossing <= across.high:
            continue
        total = mine.total(row.crossing)
        if not up.low <= total <= up.high:
            continue
        told = " told" if row.priced.name == view.against else ""
        at = (across(row.crossing), up(total))
        dot = svg.element("circle", cx=at[0], cy=at[1], r=5.0 if told else 3.5, class_=f"crossing{told}")
        dots.append(svg.group(dot, tip=f"{row.priced.name}: {row.reading}"))
    return dots


def _labels(drawn: Sequence[Priced], across: svg.Scale, *, up: svg.Scale, frame: Box, winner: str) -> list[Markup]:
    """Return each strategy's name at the right end of its line, moved apart where they would touch."""
    seen = [(up(priced.total(across.high)), priced) for priced in drawn if priced.total(across.high) >= up.low]
    placed: list[tuple[float, Priced]] = []
    for wanted, priced in sorted(seen, key=lambda pair: pair[0]):
        placed.append((max(wanted, placed[-1][0] + _LABEL_STEP) if placed else wanted, priced))
    over = placed[-1][0] - frame.bottom if placed else 0.0
    shift = max(0.0, over)
    return [
        svg.group(
            svg.text(
                (frame.right + 8, y - shift + 4), priced.name, class_="name" if priced.name == winner else "label"
            ),
            class_=f"role-{priced.role}",
        )
        for y, priced in placed
    ]
