"""Draw how often strategies err among the inputs that they are surest of, by the share of inputs that this is."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import Ending, EndNames, Plot
from llmtl.report.charts.placing import Box
from llmtl.report.left_to_it import LeftToIt, RiskLine

_OF_LIMIT = 5
"""The chart reaches so many times the allowed error; what errs more often is not worth drawing."""


def risk_chart(left: LeftToIt, *, width: float, name: str) -> Markup | None:
    """Draw one line per strategy that says how sure it is, with a mark where a promise was shown; None without any.

    What errs too often for the chart all along is not drawn: the table says why nothing was shown of it.
    """
    if not any(risk <= _top(left) for line in left.lines for _, risk in line.points):
        return None
    height = 360.0 if width >= 500 else 330.0
    ends = EndNames.of((line.name for line in left.lines), width=width)
    frame = Box(50, 30, width - ends.room - 14, height - 52)
    plot = Plot.of(frame, (0, 1), (0, _top(left)))
    title = "Share of errors among the answers, by the share of inputs that are answered"
    label = svg.text(
        (frame.left + 4, plot.up(left.limit) - 5), f"at most {wording.small_share(left.limit)}", class_="target-label"
    )
    shown = [f"{line.name} {wording.percent(line.stands[0])}" for line in left.lines if line.stands]
    return svg.picture(
        (width, height),
        name,
        plot.left_axis("wrong answers", svg.linear_ticks(0, plot.up.high, most=5), wording.small_share),
        plot.bottom_axis("inputs answered, surest first", (0, 0.25, 0.5, 0.75, 1), wording.percent),
        plot.level(left.limit, "target"),
        *(_line(line, plot) for line in left.lines),
        label,
        *plot.names(_endings(left.lines, plot), ends=ends),
        title=title,
        description=f"{title}. Shown: {', '.join(shown) or 'nothing'}.",
    )


def _top(left: LeftToIt) -> float:
    worst = max(risk for line in left.lines for _, risk in line.points)
    return min(1.0, _OF_LIMIT * left.limit, max(1.2 * worst, 1.5 * left.limit))


def _within(line: RiskLine, plot: Plot) -> list[tuple[float, float]]:
    return [(share, risk) for share, risk in line.points if risk <= plot.up.high]


def _line(line: RiskLine, plot: Plot) -> Markup:
    parts = []
    points = _within(line, plot)
    if len(points) > 1:
        parts.append(plot.path(points, "cost-line strong-line" if line.stands else "cost-line"))
    if line.stands:
        parts.append(svg.mark(line.role, plot.at(*line.stands)))
    share, risk = line.points[-1]
    tip = f"{line.name}: {wording.small_share(risk)} wrong of {wording.percent(share)} answered"
    return svg.group(*parts, class_=f"role-{line.role.value}", tip=tip)


def _endings(lines: Sequence[RiskLine], plot: Plot) -> list[Ending]:
    return [Ending(plot.up(min(line.points[-1][1], plot.up.high)), line.name) for line in lines]
