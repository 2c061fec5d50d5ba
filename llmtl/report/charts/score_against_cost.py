"""Draw score against cost per 1,000 requests, and mark the strategies that no other beats on both."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.decision.outcome import StrategyResult
from llmtl.report import cost_words, svg, wording
from llmtl.report.charts.axes import STROKED, Plot, thinned
from llmtl.report.charts.placing import Box, Place, place_labels
from llmtl.report.money import LEVEL
from llmtl.report.view import StrategyRow

LOG_FROM_SPREAD = 10.0
"""Costs that differ by more than this factor are drawn on a logarithmic axis."""
_FREE = 34.0


_NARROW = 500


def costs_differ(rows: Sequence[StrategyRow]) -> bool:
    """Say whether the chart would tell anything: whether two costs differ by more than a hundredth."""
    costs = [_usd(row.result) for row in rows]
    return max(costs, default=0.0) - min(costs, default=0.0) > LEVEL * max(costs, default=0.0)


def cost_chart(rows: Sequence[StrategyRow], *, metric: str, width: float, name: str) -> Markup:
    """Draw the chart; free strategies stand left of a logarithmic axis, in their own column.

    The cost of every strategy must be known.
    """
    height = 360.0 if width >= _NARROW else 340.0
    frame = Box(50, 30, width - 18, height - 52)
    results = [row.result for row in rows]
    low, high = svg.score_range([_value(result) for result in results])
    across = _cost_scale([_usd(result) for result in results], frame)
    plot = Plot(frame, across, svg.Scale(low, high, frame.bottom, frame.top))
    points = [(_x(result, across, frame=frame), plot.up(_value(result))) for result in results]
    best = efficient(results)
    named = [row.short_label if width < _NARROW else row.label for row in rows]
    labels = [label if row.result.test else f"{label} (dev)" for row, label in zip(rows, named, strict=True)]
    room = Box(frame.left, 4, width - 4, frame.bottom - 2)
    steps = _frontier([points[i] for i in best], frame)
    order = sorted(range(len(rows)), key=lambda index: (not rows[index].winner, index not in best, index))
    placed = place_labels([points[i] for i in order], [labels[i] for i in order], frame=room, lines=steps)
    places = dict(zip(order, placed, strict=True))
    drawn = [
        _point(rows[i], points[i], place=places[i], label=labels[i], efficient=i in best) for i in range(len(rows))
    ]
    frontier = svg.path(steps, "frontier")
    title = f"{wording.capital(wording.metric_name(metric))} against cost {_unit(results)}"
    return svg.picture(
        (width, height),
        name,
        plot.score_axis(wording.metric_name(metric)),
        _cost_axis(plot, _unit(results), free=any(_usd(result) == 0 for result in results)),
        frontier,
        *drawn,
        title=title,
        description=_describe(rows, best),
    )


def efficient(results: Sequence[StrategyResult]) -> list[int]:
    """Find the positions of the Pareto-efficient strategies: no other is cheaper at the same score, or better."""

    def beaten(one: StrategyResult, other: StrategyResult) -> bool:
        mine, theirs = (-_usd(one), _value(one)), (-_usd(other), _value(other))
        return theirs[0] >= mine[0] and theirs[1] >= mine[1] and theirs != mine

    return [i for i, one in enumerate(results) if not any(beaten(one, other) for other in results)]


def _value(result: StrategyResult) -> float:
    return (result.test or result.dev).value


def _usd(result: StrategyResult) -> float:
    """Give a month's cost; earlier versions only wrote that of 1,000 requests."""
    return cost_words.cost(result, month=result.usd_per_month is not None) or 0.0


def _unit(results: Sequence[StrategyResult]) -> str:
    return cost_words.unit(cost_words.by_month(results))


def _written(result: StrategyResult) -> str:
    """Write what the axis measures."""
    return cost_words.said(result, month=result.usd_per_month is not None)


def _describe(rows: Sequence[StrategyRow], best: Sequence[int]) -> str:
    sentences = [
        f"{row.result.name}: {wording.score(_value(row.result))} at {_written(row.result)}"
        f"{'; ' + row.stopped if row.stopped else ''}."
        for row in rows
    ]
    return f"{' '.join(sentences)} Efficient: {', '.join(rows[i].result.name for i in best)}."


def _cost_scale(costs: Sequence[float], frame: Box) -> svg.Scale:
    positive = [cost for cost in costs if cost > 0]
    if positive and max(positive) > LOG_FROM_SPREAD * min(positive):
        start = frame.left + (_FREE if len(positive) < len(costs) else 0)
        return svg.Scale(min(positive) / 1.8, max(positive) * 1.8, start, frame.right, log=True)
    return svg.Scale(0.0, 1.15 * max(positive, default=1.0), frame.left, frame.right)


def _x(result: StrategyResult, across: svg.Scale, *, frame: Box) -> float:
    return frame.left + 12 if across.log and _usd(result) <= 0 else across(_usd(result))


def _cost_axis(plot: Plot, unit: str, *, free: bool) -> Markup:
    """Draw the axis across; left of a logarithmic one, a column for what costs nothing."""
    frame, log = plot.frame, plot.across.log
    name = f"USD {unit}{', logarithmic' if log else ''}"
    axis = plot.bottom_axis(name, _cost_ticks(plot.across, frame), wording.usd_tick)
    if not (log and free):
        return axis
    nothing = svg.text((frame.left + 12, frame.bottom + STROKED.figures), "$0", class_="tick", anchor="middle")
    edge = frame.left + _FREE - 8
    return svg.group(axis, nothing, svg.line((edge, frame.top), (edge, frame.bottom), class_="grid"))


def _cost_ticks(across: svg.Scale, frame: Box) -> Sequence[float]:
    room = max(2, int((frame.right - across.start) / 100))
    if not across.log:
        return svg.linear_ticks(across.low, across.high, most=room)
    ticks = svg.log_ticks(across.low, across.high)
    if len(ticks) < 2:
        return [across.low * 1.8, across.high / 1.8]
    return thinned(ticks, room)


def _frontier(points: Sequence[tuple[float, float]], frame: Box) -> list[tuple[float, float]]:
    """Find the corners of the steps that join the efficient points, from the cheapest to the best."""
    ordered = sorted(points)
    corners = [ordered[0]]
    for x, y in ordered[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (frame.right, corners[-1][1])]


def _point(row: StrategyRow, at: tuple[float, float], *, place: Place, label: str, efficient: bool) -> Markup:
    result = row.result
    served = f" ({row.served_cost} as served)" if row.served else ""
    price = f"{_written(result)} {_unit([result])}{served}"
    stopped = f"; {row.stopped}" if row.stopped else ""
    tip = f"{result.name}: {wording.score(_value(result))} at {price}{stopped}"
    parts = []
    if place.leader:
        parts.append(svg.line(*place.leader, class_="leader"))
    parts += [svg.ring(at, size=6.0)] if row.stopped else []
    parts.append(svg.mark(result.role, at, size=6.0, class_="solid" if efficient else "hollow"))
    parts.append(svg.text(place.baseline, label, class_="name halo" if row.winner else "label halo"))
    return svg.group(*parts, class_=f"role-{result.role.value}", tip=tip)
