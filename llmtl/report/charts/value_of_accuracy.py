"""Draw expected monthly cost against what a wrong answer costs, both logarithmic, and which strategy is the best where.

Not covered: what the strategies cost and how often they are wrong (`llmtl.decision.expected_cost`).
"""

from collections.abc import Mapping
from itertools import pairwise

from markupsafe import Markup

from llmtl.decision.totals import ErrorRate, Switch, ValueOfAccuracy
from llmtl.report import svg, wording
from llmtl.report.charts.axes import Below, Ending, EndNames, Plot, money_tick
from llmtl.report.charts.placing import Box
from llmtl.report.wrong_answers import advice, best_of, per_error
from llmtl.strategy import Role

_USUAL = (1e-3, 10.0)
"""The costs of an error that are always drawn, USD."""
_LEAST = 1e-6
"""Costs of an error below this are told and not drawn."""
_DECADES_UP = 6.0
_STRIP = 26.0
_BELOW = Below(19, 42, strokes=True)


def value_chart(
    value: ValueOfAccuracy,
    roles: Mapping[str, Role],
    *,
    months: float,
    width: float,
    name: str,
    at: float | None = None,
) -> Markup:
    """Draw the chart; `at` is the known cost of an error, if there is one."""
    narrow = width < 500
    height = 420.0 if narrow else 440.0
    ends = EndNames.of((item.strategy for item in value.strategies), width=width)
    frame = Box(72, 66, width - ends.room - 14, height - 52)
    across = _across(value, at)
    up = _up(value, across, months)
    plot = Plot.of(frame, across, up, log_across=True, log_up=True)
    best = best_of(value)
    title = "Expected cost per month against the cost of a wrong answer"
    return svg.picture(
        (width, height),
        name,
        plot.left_axis("USD per month, errors included, logarithmic", plot.log_ticks_up(), money_tick),
        plot.bottom_axis("cost of a wrong answer, USD, logarithmic", plot.log_ticks_across(), money_tick, below=_BELOW),
        *(_doubt(switch, plot) for switch in value.switches),
        *(_line(item, value, plot, months=months, role=roles[item.strategy]) for item in value.strategies),
        *_lowest(value, plot, months=months, roles=roles),
        *_strip(value, plot, roles=roles),
        *(_switch(switch, value, plot, months=months) for switch in value.switches),
        *([plot.upright(at, "yours", reach=0, above=-14)] if at and at >= across[0] else []),
        *plot.names(
            [
                Ending(
                    plot.up(min(up[1], _usd_per_month(item, value, across[1], months))),
                    item.strategy,
                    "name" if item.strategy in best else "label",
                )
                for item in value.strategies
            ],
            ends=ends,
        ),
        title=title,
        description=f"{title}. {advice(value)}",
    )


def _across(value: ValueOfAccuracy, at: float | None) -> tuple[float, float]:
    points = [switch.usd_per_error for switch in value.switches if switch.usd_per_error > 0]
    points += [] if not at else [at]
    low = min([_USUAL[0], *(point / 10 for point in points)])
    return max(low, _LEAST), max([_USUAL[1], *(10 * point for point in points)])


def _up(value: ValueOfAccuracy, across: tuple[float, float], months: float) -> tuple[float, float]:
    ends = [_usd_per_month(item, value, at, months) for item in value.strategies for at in across]
    high = 1.5 * max(ends)
    least = min(end for end in ends if end > 0) / 1.5
    return max(least, high / 10**_DECADES_UP), high


def _usd_per_month(item: ErrorRate, value: ValueOfAccuracy, usd_per_error: float, months: float) -> float:
    return (item.usd_spent + value.requests * item.wrong * usd_per_error) / months


def _line(item: ErrorRate, value: ValueOfAccuracy, plot: Plot, *, months: float, role: Role) -> Markup:
    drawn = plot.curve(lambda at: _usd_per_month(item, value, at, months), "cost-line faint-line") or Markup("")
    tip = f"{item.strategy}: {wording.usd(item.usd_spent / months)} a month, {100 * item.wrong:.1f}% wrong"
    return svg.group(drawn, class_=f"role-{role.value}", tip=tip)


def _pieces(value: ValueOfAccuracy, plot: Plot) -> list[tuple[str, float, float]]:
    """Say which strategy is the best between which costs, within the axis."""
    inside = [min(max(switch.usd_per_error, plot.across.low), plot.across.high) for switch in value.switches]
    ends = [plot.across.low, *inside, plot.across.high]
    return [(name, low, high) for name, (low, high) in zip(best_of(value), pairwise(ends), strict=True) if high > low]


def _lowest(value: ValueOfAccuracy, plot: Plot, *, months: float, roles: Mapping[str, Role]) -> list[Markup]:
    """Draw the lowest of all lines, heavy."""
    items = {item.strategy: item for item in value.strategies}
    drawn = []
    for name, low, high in _pieces(value, plot):
        points = [low * (high / low) ** (step / 60) for step in range(61)]
        totals = [(at, _usd_per_month(items[name], value, at, months)) for at in points]
        kept = [pair for pair in totals if plot.up.low <= pair[1] <= plot.up.high]
        if len(kept) > 1:
            drawn.append(svg.group(plot.path(kept, "cost-line strong-line"), class_=f"role-{roles[name].value}"))
    return drawn


def _strip(value: ValueOfAccuracy, plot: Plot, *, roles: Mapping[str, Role]) -> list[Markup]:
    """Write above the frame which strategy is the best where; a name that has no room is left to the tip."""
    top, drawn = plot.frame.top - _STRIP - 6, []
    for name, low, high in _pieces(value, plot):
        left, right = plot.across(low), plot.across(high)
        box = svg.element("rect", x=left + 1, y=top, width=max(1.0, right - left - 2), height=_STRIP, class_="piece")
        fits = svg.text_width(name, 12.5) <= right - left - 6
        label = svg.text(((left + right) / 2, top + 17), name, class_="piece-name", anchor="middle") if fits else ""
        drawn.append(svg.group(box, label, class_=f"role-{roles[name].value}", tip=f"{name} costs least in all here"))
    return drawn


def _doubt(switch: Switch, plot: Plot) -> Markup:
    """Shade the 95% band of a switching point, to the edge where it has no upper end."""
    low = min(max(switch.ci95[0], plot.across.low), plot.across.high)
    high = plot.across.high if switch.ci95[1] is None else min(max(switch.ci95[1], low), plot.across.high)
    left, right, frame = plot.across(low), plot.across(high), plot.frame
    return svg.element(
        "rect", x=left, y=frame.top, width=max(1.0, right - left), height=frame.bottom - frame.top, class_="doubt"
    )


def _switch(switch: Switch, value: ValueOfAccuracy, plot: Plot, *, months: float) -> Markup:
    item = next(item for item in value.strategies if item.strategy == switch.above)
    total = _usd_per_month(item, value, switch.usd_per_error, months)
    if not (plot.across.low <= switch.usd_per_error <= plot.across.high and plot.up.low <= total <= plot.up.high):
        return Markup("")
    tip = f"above {per_error(switch.usd_per_error)} {switch.above} costs less in all than {switch.below}"
    return plot.dot(switch.usd_per_error, total, radius=5.0, class_="crossing", tip=tip)
