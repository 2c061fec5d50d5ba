"""Learning curves: score on dev against the number of training examples, with the forecast and its band."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.learning_curve import Forecast, LearningCurves
from llmtl.predictor import Role
from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box

_LABEL_GAP = 15.0


def learning_chart(curves: LearningCurves, *, roles: dict[str, Role], width: float, name: str) -> Markup | None:
    """Return the chart, or None where no curve has two points; the band is drawn beyond the data only."""
    shown = [item for item in curves.forecasts if len(item.points) > 1]
    if not shown:
        return None
    height = 360.0 if width >= 500 else 330.0
    names = [*(item.strategy for item in shown), *curves.levels]
    frame = Box(50, 30, width - max(svg.text_width(label, 13) for label in names) - 14, height - 52)
    largest = max(item.band[-1].size if item.band else item.points[-1].size for item in shown)
    across = svg.Scale(min(item.points[0].size for item in shown), largest, frame.left, frame.right, log=True)
    up = svg.Scale(*svg.score_range(_values(shown, curves)), frame.bottom, frame.top)
    title = f"{wording.capital(wording.metric_name(curves.metric))} on dev by training examples"
    return svg.picture(
        (width, height),
        name,
        _axes(across, up, frame=frame, metric=curves.metric, sizes=[p.size for p in shown[0].points]),
        *([] if curves.target is None else [_target(up(curves.target), curves.target, frame=frame)]),
        *(_level(label, up(score), frame=frame) for label, score in curves.levels.items()),
        *(_curve(item, across, up, role=roles[item.strategy]) for item in shown),
        *_names(shown, curves, up, frame=frame, roles=roles),
        title=title,
        description=f"{title}. {' '.join(advice.text for advice in curves.advice.values())}",
    )


def _values(shown: Sequence[Forecast], curves: LearningCurves) -> list[float]:
    values = [end for item in shown for point in item.points for end in point.ci95]
    values += [end for item in shown for band in item.band for end in (band.low, band.high)]
    return [*values, *curves.levels.values(), *([] if curves.target is None else [curves.target])]


def _axes(across: svg.Scale, up: svg.Scale, *, frame: Box, metric: str, sizes: Sequence[int]) -> Markup:
    parts = [svg.text((8, 12), wording.metric_name(metric), class_="axis")]
    for tick in svg.linear_ticks(up.low, up.high, most=5):
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), f"{tick:.2g}", class_="tick", anchor="end"))
    parts.append(svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), class_="axis-line"))
    ticks = [*sizes, *(size for size in (2 * sizes[-1], 4 * sizes[-1]) if size <= across.high)]
    last = -100.0
    for size in ticks:
        x = across(size)
        parts.append(svg.line((x, frame.bottom), (x, frame.bottom + 5), class_="axis-line"))
        if x - last >= svg.text_width(wording.count(size), 12) + 8:
            parts.append(svg.text((x, frame.bottom + 19), wording.count(size), class_="tick", anchor="middle"))
            last = x
    middle = (frame.left + frame.right) / 2
    parts.append(svg.text((middle, frame.bottom + 42), "training examples", class_="axis", anchor="middle"))
    return svg.group(*parts)


def _target(y: float, target: float, *, frame: Box) -> Markup:
    return svg.group(
        svg.line((frame.left, y), (frame.right, y), class_="target"),
        svg.text((frame.left + 4, y - 5), f"target {wording.target(target)}", class_="target-label"),
    )


def _level(label: str, y: float, *, frame: Box) -> Markup:
    line = svg.line((frame.left, y), (frame.right, y), class_="level-line")
    return svg.group(line, class_="role-prompting", tip=f"{label}: needs no training examples")


def _curve(item: Forecast, across: svg.Scale, up: svg.Scale, *, role: Role) -> Markup:
    """Return the measured points with their intervals, and the forecast beyond them."""
    last = item.points[-1]
    beyond = [band for band in item.band if band.size >= last.size]
    parts = []
    if beyond:
        edge = [(across(band.size), up(band.high)) for band in beyond]
        edge += [(across(band.size), up(band.low)) for band in reversed(beyond)]
        parts.append(svg.polygon(edge, "forecast-band"))
        fitted = [(across(band.size), up(band.median)) for band in item.band]
        parts.append(svg.path(fitted, "forecast-line"))
    else:
        parts.append(svg.path([(across(point.size), up(point.score)) for point in item.points], "forecast-line"))
    for point in item.points:
        x = across(point.size)
        interval = wording.interval(*point.ci95)
        tip = f"{item.strategy}, {wording.count(point.size)} examples: {wording.score(point.score)} ({interval})"
        whisker = svg.line((x, up(point.ci95[0])), (x, up(point.ci95[1])), class_="whisker thin")
        parts.append(svg.group(whisker, svg.mark(role, (x, up(point.score)), size=4.5), tip=tip))
    return svg.group(*parts, class_=f"role-{role.value}")


def _names(
    shown: Sequence[Forecast], curves: LearningCurves, up: svg.Scale, *, frame: Box, roles: dict[str, Role]
) -> list[Markup]:
    """Return the names at the right ends, moved apart where lines end close together."""
    ends = [(up(item.band[-1].median if item.band else item.points[-1].score), item.strategy) for item in shown]
    ends += [(up(score), label) for label, score in curves.levels.items()]
    labels, last = [], -100.0
    for y, label in sorted(ends):
        last = max(y, last + _LABEL_GAP)
        drawn = svg.text((frame.right + 8, last + 4), label, class_="label")
        labels.append(svg.group(drawn, class_=f"role-{roles.get(label, Role.PROMPTING).value}"))
    return labels
