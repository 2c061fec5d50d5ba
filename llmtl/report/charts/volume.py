"""Cost a month against requests a month, both logarithmic, with the volumes where the winner's cost meets others'."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.costs import CostLine, Crossing
from llmtl.predictor import Role
from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.money import Money

_DECADES = 2
_STEPS = 49
_LABEL_GAP = 15.0


def volume_chart(money: Money, *, width: float, name: str) -> Markup | None:
    """Return the chart around the expected volume, or None where fewer than two strategies cost anything."""
    expected, months = money.prices.requests_per_month, money.prices.months
    roles = {bill.result.name: (bill.result.role, bill.winner) for bill in money.bills}
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
    across = svg.Scale(low, high, frame.left, frame.right, log=True)
    up = svg.Scale(min(costs) / 1.5, max(costs) * 1.5, frame.bottom, frame.top, log=True)
    title = "Cost a month against requests a month"
    return svg.picture(
        (width, height),
        name,
        _axes(across, up, frame=frame),
        _expected(across(expected), frame=frame),
        *(_line(line, across, up, months=months, role=roles[line.name]) for line in lines),
        *(_dot(item, across, up) for item in shown),
        *_names(lines, up, high=high, months=months, frame=frame, roles=roles),
        title=title,
        description=f"{title}. {' '.join(money.facts)}",
    )


def _axes(across: svg.Scale, up: svg.Scale, *, frame: Box) -> Markup:
    parts = [svg.text((8, 12), "USD a month, logarithmic", class_="axis")]
    ticks = svg.log_ticks(up.low, up.high)
    for tick in ticks[:: max(1, -(-len(ticks) // 7))]:
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), _money_tick(tick), class_="tick", anchor="end"))
    parts.append(svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), class_="axis-line"))
    across_ticks = svg.log_ticks(across.low, across.high)
    every = max(1, -(-len(across_ticks) // max(2, int((frame.right - frame.left) / 70))))
    for tick in across_ticks[::every]:
        parts.append(svg.line((across(tick), frame.bottom), (across(tick), frame.bottom + 5), class_="axis-line"))
        parts.append(svg.text((across(tick), frame.bottom + 19), _count_tick(tick), class_="tick", anchor="middle"))
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text((middle, frame.bottom + 42), "requests a month, logarithmic", class_="axis", anchor="middle"))
    return svg.group(*parts)


def _money_tick(value: float) -> str:
    if value >= 1e6:
        return f"${value / 1e6:g}M"
    return wording.usd_tick(value) if value >= 1e-4 else f"$10{_superscript(value)}"


def _superscript(value: float) -> str:
    power = f"{value:.0e}".split("e")[1]
    return str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _count_tick(value: float) -> str:
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _expected(x: float, *, frame: Box) -> Markup:
    return svg.group(
        svg.line((x, frame.top), (x, frame.bottom), class_="target"),
        svg.text((x, frame.top - 8), "expected", class_="target-label", anchor="middle"),
    )


def _line(line: CostLine, across: svg.Scale, up: svg.Scale, *, months: float, role: tuple[Role, bool]) -> Markup:
    ratio = across.high / across.low
    volumes = [across.low * ratio ** (step / (_STEPS - 1)) for step in range(_STEPS)]
    points = [(across(volume), up(line.usd_per_month(volume, months=months))) for volume in volumes]
    start = wording.usd(line.fixed_usd)
    tip = f"{line.name}: {start} once, {wording.usd(line.usd_per_1k_requests)} per 1,000 requests"
    kind = "cost-line strong-line" if role[1] else "cost-line"
    return svg.group(svg.path(points, kind), class_=f"role-{role[0].value}", tip=tip)


def _dot(crossing: Crossing, across: svg.Scale, up: svg.Scale) -> Markup:
    tip = (
        f"{wording.count(crossing.requests_per_month)} requests a month: above, {crossing.cheaper_above} costs less "
        f"than {crossing.cheaper_below}"
    )
    at = across(crossing.requests_per_month), up(crossing.usd_per_month)
    return svg.group(svg.element("circle", cx=at[0], cy=at[1], r=5.0, class_="crossing"), tip=tip)


def _names(
    lines: Sequence[CostLine],
    up: svg.Scale,
    *,
    high: float,
    months: float,
    frame: Box,
    roles: dict[str, tuple[Role, bool]],
) -> list[Markup]:
    """Return the names at the right ends of the lines, moved apart where lines end close together."""
    ends = sorted((up(line.usd_per_month(high, months=months)), line.name) for line in lines)
    placed, last = [], -100.0
    for y, _ in ends:
        last = max(y, last + _LABEL_GAP)
        placed.append(last)
    overflow = max(0.0, placed[-1] - frame.bottom)
    labels = []
    for (_, name), y in zip(ends, placed, strict=True):
        role, winner = roles[name]
        label = svg.text((frame.right + 8, y - overflow + 4), name, class_="name" if winner else "label")
        labels.append(svg.group(label, class_=f"role-{role.value}"))
    return labels
