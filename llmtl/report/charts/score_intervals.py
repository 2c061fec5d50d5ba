"""Draw score and 95% interval of every strategy, dev and test told apart."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import TIGHT, Plot
from llmtl.report.charts.placing import Box
from llmtl.report.view import StrategyRow
from llmtl.strategy import Role

_ROW = 50
_TOP = 30
_BOTTOM = 40
_NARROW = 500
_LINE = 16
_CHARACTERS = 38
"""A longer name takes two lines, so that names leave most of the width to the marks."""


@dataclass(frozen=True)
class _Layout:
    """Where names, marks and figures of rows stand on a page of some width, in pixels."""

    names: tuple[tuple[str, ...], ...]
    width: float

    @property
    def narrow(self) -> bool:
        return self.width < _NARROW

    @cached_property
    def lines(self) -> int:
        return max(map(len, self.names))

    @property
    def left(self) -> float:
        longest = max(svg.text_width(line, 14) for lines in self.names for line in lines)
        return 16.0 if self.narrow else max(120.0, longest + 24)

    @property
    def right(self) -> float:
        return self.width - (16 if self.narrow else 172)

    @property
    def above(self) -> float:
        """What names take above the marks, where there is no room for both side by side."""
        return 20.0 + _LINE * self.lines if self.narrow else 0.0

    @property
    def row(self) -> float:
        """How high name, marks and figures are side by side."""
        return _ROW + (0 if self.narrow else _LINE / 2 * (self.lines - 1))

    @property
    def step(self) -> float:
        return self.row + self.above


def scores_chart(rows: Sequence[StrategyRow], *, metric: str, target: float | None, width: float, name: str) -> Markup:
    """Draw one line of marks and intervals per strategy, in the order given, on a shared axis of the metric."""
    layout = _Layout(tuple(_two_lines(row.result.name) for row in rows), width)
    left, right, step = layout.left, layout.right, layout.step
    low, high = svg.score_range(_ends(rows, target))
    scale = svg.Scale(low, high, left, right)
    height = _TOP + step * len(rows) + _BOTTOM
    plot = Plot(Box(left, _TOP, right, height - _BOTTOM), scale, svg.Scale(0, len(rows), _TOP, height - _BOTTOM))
    title = f"{wording.capital(wording.metric_name(metric))} of each strategy with its 95% interval"
    ticks = svg.linear_ticks(low, high)
    return svg.picture(
        (width, height),
        name,
        *(_band(plot.up(index), step, width=width) for index, row in enumerate(rows) if row.winner),
        *(svg.line(plot.at(tick, 0), plot.at(tick, len(rows)), class_="grid") for tick in ticks),
        plot.bottom_axis(wording.metric_name(metric), ticks, "{:.2g}".format, below=TIGHT),
        *([] if target is None else [_target(plot, target, _beside_marks(rows, plot, layout))]),
        *(_row(row, scale, top=plot.up(index), layout=layout) for index, row in enumerate(rows)),
        title=title,
        description=_describe(rows),
    )


def _ends(rows: Sequence[StrategyRow], target: float | None) -> list[float]:
    results = [row.result for row in rows]
    ends = [end for result in results for end in result.dev.ci95]
    ends += [end for result in results if result.test for end in result.test.ci95]
    return ends if target is None else [*ends, target]


def _describe(rows: Sequence[StrategyRow]) -> str:
    sentences = []
    for row in rows:
        shown = row.result.test or row.result.dev
        split = "test" if row.result.test else "dev"
        sentences.append(
            f"{row.result.name}: {wording.score(shown.value)} on {split}, {wording.interval(*shown.ci95)}"
            f"{'; ' + row.stopped if row.stopped else ''}."
        )
    return " ".join(sentences)


def _beside_marks(rows: Sequence[StrategyRow], plot: Plot, layout: _Layout) -> list[tuple[float, float]]:
    """Say where the line of the target stands on a phone, whose rows have names and figures above their marks."""
    middles = [_middle(plot.up(index), layout) for index in range(len(rows))] if layout.narrow else []
    return [(middle - 13, middle + 17) for middle in middles]


def _target(plot: Plot, target: float, parts: Sequence[tuple[float, float]]) -> Markup:
    label = f"target {wording.target(target)}"
    beyond = plot.across(target) + svg.text_width(label, 12) / 2 > plot.frame.right + 14
    return plot.upright(target, label, anchor="end" if beyond else "middle", parts=parts)


def _two_lines(name: str) -> tuple[str, ...]:
    """Break a name into at most two lines, of no more characters than that takes."""
    width = _CHARACTERS
    while len(lines := textwrap.wrap(name, width)) > 2:
        width += 1
    return tuple(lines) or ("",)


def _middle(top: float, layout: _Layout) -> float:
    return top + layout.above + layout.row / 2 - (2 if layout.narrow else 0)


def _row(row: StrategyRow, scale: svg.Scale, *, top: float, layout: _Layout) -> Markup:
    """Draw one strategy: its name, the test interval above the dev interval, and the test score in figures."""
    result = row.result
    middle = _middle(top, layout)
    shown = result.test or result.dev
    parts, level = _names(row, top, middle=middle, narrow=layout.narrow)
    if result.test:
        parts.append(
            _whisker(result.role, scale, value=result.test.value, ends=result.test.ci95, y=middle - 6, split="test")
        )
    parts.append(_whisker(result.role, scale, value=result.dev.value, ends=result.dev.ci95, y=middle + 10, split="dev"))
    if row.stopped:
        at = scale(shown.value), middle - 6 if result.test else middle + 10
        parts.append(svg.group(svg.ring(at, size=5.5 if result.test else 4.0), tip=wording.capital(row.stopped)))
    figures = f"{'' if result.test else 'dev  '}{wording.score(shown.value)}  {wording.interval(*shown.ci95)}"
    if layout.narrow:
        parts.append(svg.text((layout.width - 8, level), figures, class_="figure halo", anchor="end"))
    else:
        parts.append(svg.text((layout.width - 12, middle + 5), figures, class_="figure", anchor="end"))
    faded = "" if result.eligible else " faded"
    return svg.group(*parts, class_=f"role-{result.role.value}{' winner' if row.winner else ''}{faded}")


def _band(top: float, step: float, *, width: float) -> Markup:
    return svg.element("rect", x=0, y=top + 2, width=width, height=step - 4, rx=6, class_="band")


def _names(row: StrategyRow, top: float, *, middle: float, narrow: bool) -> tuple[list[Markup], float]:
    """Write name and note of a strategy, and say on which level its note stands."""
    role = wording.role_name(row.result.role, given=row.given)
    note = f"{role}, {row.badge}" if row.winner else role
    lines = _two_lines(row.result.name)
    left, halo = (8, " halo") if narrow else (12, "")
    first = top + 19 if narrow else middle - 2 - _LINE / 2 * (len(lines) - 1)
    level = first + _LINE * len(lines)
    named = [svg.text((left, first + _LINE * at), line, class_=f"name{halo}") for at, line in enumerate(lines)]
    return [*named, svg.text((left, level), note, class_=f"note{halo}")], level


def _whisker(role: Role, scale: svg.Scale, *, value: float, ends: tuple[float, float], y: float, split: str) -> Markup:
    tip = f"{split}: {wording.score(value)}, 95% interval {wording.interval(*ends)}"
    low, high = scale(ends[0]), scale(ends[1])
    caps = [svg.line((x, y - 3.5), (x, y + 3.5), class_="whisker") for x in (low, high)]
    size, fill = (5.5, "solid") if split == "test" else (4.0, "hollow")
    return svg.group(
        svg.line((low, y), (high, y), class_="whisker"),
        *caps,
        svg.mark(role, (scale(value), y), size=size, class_=fill),
        class_=split,
        tip=tip,
    )
