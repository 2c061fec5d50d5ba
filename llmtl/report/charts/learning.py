"""Draw learning curves: score on dev against the number of training examples, with the forecast and its band."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.learning_curve import Forecast, LearningCurves
from llmtl.report import svg, wording
from llmtl.report.charts.axes import Ending, EndNames, Plot
from llmtl.report.charts.placing import Box
from llmtl.strategy import Role


def learning_chart(curves: LearningCurves, *, roles: dict[str, Role], width: float, name: str) -> Markup | None:
    """Draw the chart, or None if no curve has two points; the band is drawn only beyond the data."""
    shown = [item for item in curves.forecasts if len(item.points) > 1]
    if not shown:
        return None
    height = 360.0 if width >= 500 else 330.0
    names = [*(item.strategy for item in shown), *curves.levels]
    ends = EndNames.of(names, width=width)
    frame = Box(50, 30, width - ends.room - 14, height - 52)
    largest = max(item.band[-1].size if item.band else item.points[-1].size for item in shown)
    sizes = (min(item.points[0].size for item in shown), largest)
    plot = Plot.of(frame, sizes, svg.score_range(_values(shown, curves)), log_across=True)
    title = f"{wording.capital(wording.metric_name(curves.metric))} on dev by training examples"
    return svg.picture(
        (width, height),
        name,
        plot.score_axis(wording.metric_name(curves.metric)),
        plot.bottom_axis("training examples", _sizes(shown[0], plot)),
        *([] if curves.target is None else [_target(plot, curves.target)]),
        *(_level(label, score, plot) for label, score in curves.levels.items()),
        *(_curve(item, plot, role=roles[item.strategy]) for item in shown),
        *plot.names(_endings(shown, curves, plot), ends=ends),
        title=title,
        description=f"{title}. {' '.join(advice.text for advice in curves.advice.values())}",
    )


def _values(shown: Sequence[Forecast], curves: LearningCurves) -> list[float]:
    values = [end for item in shown for point in item.points for end in point.ci95]
    values += [end for item in shown for band in item.band for end in (band.low, band.high)]
    return [*values, *curves.levels.values(), *([] if curves.target is None else [curves.target])]


def _sizes(first: Forecast, plot: Plot) -> list[float]:
    sizes = [point.size for point in first.points]
    return [*sizes, *(size for size in (2 * sizes[-1], 4 * sizes[-1]) if size <= plot.across.high)]


def _target(plot: Plot, target: float) -> Markup:
    label = svg.text(
        (plot.frame.left + 4, plot.up(target) - 5), f"target {wording.target(target)}", class_="target-label"
    )
    return svg.group(plot.level(target, "target"), label)


def _level(label: str, score: float, plot: Plot) -> Markup:
    line = plot.level(score, "level-line")
    return svg.group(line, class_="role-prompting", tip=f"{label}: needs no training examples")


def _curve(item: Forecast, plot: Plot, *, role: Role) -> Markup:
    """Draw the measured points with their intervals, and the forecast beyond them."""
    beyond = [band for band in item.band if band.size >= item.points[-1].size]
    parts = []
    if beyond:
        edge = [plot.at(band.size, band.high) for band in beyond]
        edge += [plot.at(band.size, band.low) for band in reversed(beyond)]
        parts.append(svg.polygon(edge, "forecast-band"))
        parts.append(plot.path([(band.size, band.median) for band in item.band], "forecast-line"))
    else:
        parts.append(plot.path([(point.size, point.score) for point in item.points], "forecast-line"))
    for point in item.points:
        interval = wording.interval(*point.ci95)
        tip = f"{item.strategy}, {wording.count(point.size)} examples: {wording.score(point.score)} ({interval})"
        low, high = (plot.at(point.size, end) for end in point.ci95)
        whisker = svg.line(low, high, class_="whisker thin")
        parts.append(svg.group(whisker, svg.mark(role, plot.at(point.size, point.score), size=4.5), tip=tip))
    return svg.group(*parts, class_=f"role-{role.value}")


def _endings(shown: Sequence[Forecast], curves: LearningCurves, plot: Plot) -> list[Ending]:
    last = {item.strategy: item.band[-1].median if item.band else item.points[-1].score for item in shown}
    return [Ending(plot.up(score), label) for label, score in [*last.items(), *curves.levels.items()]]
