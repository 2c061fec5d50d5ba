"""Draw a frame with a scale across and one upwards, the same way for every chart: axes, lines, names at their ends.

Not covered: what stands inside, which each chart decides for itself, and labels beside points (`placing`).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from llmtl.numerals import with_minus
from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.naming import code
from llmtl.report.svg import Point, Scale

_SAMPLES = 60
_CLEAR = 8.0
"""The smallest gap between two figures below the frame, in pixels."""

_MOST_FOR_NAMES = 0.36
"""The share of a chart's width that titles behind its lines may take; those of cascades would leave it to its names."""


class Below(NamedTuple):
    """How many pixels below the frame figures and the axis's name stand; `strokes` draws the axis and its ticks."""

    figures: float
    name: float
    strokes: bool = False


STROKED, PLAIN, TIGHT = Below(19, 42, strokes=True), Below(18, 36), Below(16, 34)


class Ending(NamedTuple):
    """The height in pixels at which a line ends, and the name to write there."""

    y: float
    name: str
    class_: str = "label"


@dataclass(frozen=True)
class EndNames:
    """What is written behind the lines of a chart, by name, and the pixels that this takes."""

    written: Mapping[str, str]
    room: float

    @classmethod
    def of(cls, names: Iterable[str], *, width: float, size: float = 13.0) -> "EndNames":
        """Choose the names themselves or, where they take too much of the width, those of the table."""
        listed = list(names)
        fit = _widest(listed, size) <= _MOST_FOR_NAMES * width
        written = {name: name if fit else code(name) for name in listed}
        return cls(written, _widest(written.values(), size))


def _widest(names: Iterable[str], size: float) -> float:
    return max((svg.text_width(name, size) for name in names), default=0.0)


@dataclass(frozen=True)
class Plot:
    """A frame and its scales; the methods take values, not pixels, unless they say so."""

    frame: Box
    across: Scale
    up: Scale

    @classmethod
    def of(
        cls,
        frame: Box,
        across: tuple[float, float],
        up: tuple[float, float],
        *,
        log_across: bool = False,
        log_up: bool = False,
    ) -> "Plot":
        """Make a plot whose scales span the frame between these ends."""
        return cls(
            frame,
            Scale(*across, frame.left, frame.right, log=log_across),
            Scale(*up, frame.bottom, frame.top, log=log_up),
        )

    def at(self, x: float, y: float) -> Point:
        """Map a pair of values to its pixel."""
        return self.across(x), self.up(y)

    def path(self, values: Iterable[Point], class_: str) -> Markup:
        """Draw straight strokes through pairs of values."""
        return svg.path([self.at(x, y) for x, y in values], class_)

    def curve(self, of: Callable[[float], float], class_: str) -> Markup | None:
        """Draw a function over a logarithmic scale where it is within the frame; None if it never is."""
        low, high = self.across.low, self.across.high
        steps = [low * (high / low) ** (step / (_SAMPLES - 1)) for step in range(_SAMPLES)]
        shown = [(x, y) for x, y in ((x, of(x)) for x in steps) if self.up.low <= y <= self.up.high]
        return self.path(shown, class_) if len(shown) > 1 else None

    def level(self, y: float, class_: str) -> Markup:
        """Draw a line through the whole frame at one height."""
        return svg.line((self.frame.left, self.up(y)), (self.frame.right, self.up(y)), class_=class_)

    def upright(
        self,
        x: float,
        label: str,
        *,
        reach: float = 8,
        above: float = 14,
        anchor: str = "middle",
        parts: Sequence[tuple[float, float]] = (),
    ) -> Markup:
        """Draw a dashed line at one value, `reach` pixels out of the frame, with a label `above` it.

        `parts` are the stretches from top to bottom, in pixels, that are drawn of it where text stands in its way.
        """
        frame, at = self.frame, self.across(x)
        place = (at if anchor == "middle" else at + 4, frame.top - above)
        return svg.group(
            *(svg.line((at, y1), (at, y2), class_="target") for y1, y2 in parts or [(frame.top - reach, frame.bottom)]),
            svg.text(place, label, class_="target-label", anchor=anchor),
        )

    def dot(self, x: float, y: float, *, radius: float, class_: str, tip: str | None = None) -> Markup:
        """Draw a circle on a pair of values."""
        circle = svg.element("circle", cx=self.across(x), cy=self.up(y), r=radius, class_=class_)
        return circle if tip is None else svg.group(circle, tip=tip)

    def left_axis(
        self, name: str, ticks: Iterable[float], written: Callable[[float], str] = "{:.2g}".format, *, top: float = 12
    ) -> Markup:
        """Draw a level line and a figure at each tick, and the axis's name in the upper left corner."""
        parts = [svg.text((8, top), name, class_="axis")]
        for tick in ticks:
            parts.append(self.level(tick, "grid"))
            parts.append(
                svg.text(
                    (self.frame.left - 8, self.up(tick) + 4), with_minus(written(tick)), class_="tick", anchor="end"
                )
            )
        return svg.group(*parts)

    def score_axis(self, name: str) -> Markup:
        """Draw the left axis of a chart of scores."""
        return self.left_axis(name, svg.linear_ticks(self.up.low, self.up.high, most=5))

    def bottom_axis(
        self,
        name: str,
        ticks: Iterable[float] = (),
        written: Callable[[float], str] = wording.count,
        *,
        below: Below = STROKED,
    ) -> Markup:
        """Draw the figures that have room at the ticks, from the left, and the axis's name in the middle under them."""
        frame, parts, last = self.frame, [], -math.inf
        if below.strokes:
            parts.append(svg.line((frame.left, frame.bottom), (frame.right, frame.bottom), class_="axis-line"))
        for tick in ticks:
            x, figure = self.across(tick), with_minus(written(tick))
            if below.strokes:
                parts.append(svg.line((x, frame.bottom), (x, frame.bottom + 5), class_="axis-line"))
            if x - last >= svg.text_width(figure, 12) + _CLEAR:
                parts.append(svg.text((x, frame.bottom + below.figures), figure, class_="tick", anchor="middle"))
                last = x
        middle = (frame.left + frame.right) / 2
        parts.append(svg.text((middle, frame.bottom + below.name), name, class_="axis", anchor="middle"))
        return svg.group(*parts)

    def log_ticks_up(self) -> Sequence[float]:
        """Choose at most seven powers of ten upwards."""
        return thinned(svg.log_ticks(self.up.low, self.up.high), 7)

    def log_ticks_across(self) -> Sequence[float]:
        """Choose powers of ten across, at most one per 70 pixels."""
        room = max(2, int((self.frame.right - self.frame.left) / 70))
        return thinned(svg.log_ticks(self.across.low, self.across.high), room)

    def names(
        self, endings: Iterable[Ending], *, ends: EndNames | None = None, away: float = 8, gap: float = 15
    ) -> list[Markup]:
        """Write names `away` from the right edge, at least `gap` apart and, together, not below the frame."""
        written = ends.written if ends else {}
        ordered = sorted(endings)
        placed, last = [], -math.inf
        for ending in ordered:
            last = max(ending.y, last + gap)
            placed.append(last)
        right, lift = self.frame.right + away, max(0.0, last - self.frame.bottom)
        return [
            svg.text((right, y - lift + 4), written.get(ending.name, ending.name), class_=ending.class_)
            for ending, y in zip(ordered, placed, strict=True)
        ]


def thinned(ticks: Sequence[float], most: int) -> Sequence[float]:
    """Keep every second, third, ... tick, so that at most `most` remain."""
    return ticks[:: max(1, -(-len(ticks) // most))]


def written_count(value: float) -> str:
    """Write a power of ten in few characters: `1k`, `10M`, `1bn`."""
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def money_tick(value: float) -> str:
    """Write a power of ten of USD in few characters: `$2M`, `$10`, `$0.01`, `$10⁻⁶`."""
    if value >= 1e6:
        return f"${value / 1e6:g}M"
    if value >= 1e-4:
        return wording.usd_tick(value)
    power = int(f"{value:.0e}".split("e")[1])
    return f"$10{str(power).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
