"""Make the few pieces of SVG that the charts need: escaped elements, marks, scales and axes.

Colours are CSS classes (`charts.css`), so that one drawing works in light, dark and print. Not covered: layout, which
each chart decides for itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from llmtl.strategy import LOOKS, Role, Shape

CHARACTER = 0.6
"""Mean width of a character as a share of its font size: wide (DejaVu Sans), so that labels never collide."""

Number = int | float
Point = tuple[float, float]
"""x to the right and y downwards, in pixels."""


def element(tag: str, *children: str, **attributes: str | Number | None) -> Markup:
    """Make an element; text and attributes are escaped, `_` in attribute names becomes `-`, None is left out."""
    pairs = (
        f' {name.rstrip("_").replace("_", "-")}="{escape(value if isinstance(value, str) else _number(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    opening = f"<{tag}{''.join(pairs)}"
    inside = "".join(escape(child) for child in children)
    return Markup(f"{opening}>{inside}</{tag}>" if inside else f"{opening}/>")


def _number(value: Number) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def text(at: Point, content: str, *, class_: str = "label", anchor: str | None = None) -> Markup:
    """Write text whose baseline starts at a point; `anchor` may be `middle` or `end`."""
    return element("text", content, x=at[0], y=at[1], class_=class_, text_anchor=anchor)


def line(start: Point, end: Point, *, class_: str) -> Markup:
    """Draw a straight line from one point to another."""
    return element("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def path(points: Sequence[Point], class_: str) -> Markup:
    """Draw straight strokes through the points in order."""
    steps = " ".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(points))
    return element("path", d=steps, class_=class_)


def polygon(corners: Sequence[Point], class_: str) -> Markup:
    """Draw a closed figure through the points in order."""
    return element("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in corners), class_=class_)


def group(*children: str, class_: str | None = None, tip: str | None = None) -> Markup:
    """Group the children; `tip` shows when the pointer rests on them."""
    title = (element("title", tip),) if tip else ()
    return element("g", *title, *children, class_=class_)


def picture(size: Point, name: str, *children: str, title: str, description: str) -> Markup:
    """Wrap the children in a whole drawing of (width, height) pixels; `name` must be unique within the page."""
    width, height = size
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", description, id=f"{name}-desc"),
        *children,
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def mark(role: Role, at: Point, *, size: float = 5.5, class_: str = "solid") -> Markup:
    """Draw the mark of a role centred on a point: every role has its own shape (`LOOKS`)."""
    x, y = at
    match LOOKS[role].mark:
        case Shape.SQUARE:
            side = 1.7 * size
            return element("rect", x=x - side / 2, y=y - side / 2, width=side, height=side, class_=class_)
        case Shape.CIRCLE:
            return element("circle", cx=x, cy=y, r=size, class_=class_)
        case Shape.TRIANGLE:
            reach, half = 1.25 * size, 1.15 * size  # its middle, not its box, stands on the point
            return polygon([(x, y - reach), (x + half, y + 0.65 * reach), (x - half, y + 0.65 * reach)], class_)
        case Shape.DIAMOND:
            reach = 1.3 * size
            return polygon([(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)], class_)
        case Shape.HEXAGON:
            reach, half = 1.2 * size, 0.6 * size
            across = 1.04 * size  # sin 60 degrees of the reach
            ends = [(x - half, y - across), (x + half, y - across), (x + reach, y)]
            return polygon([*ends, (x + half, y + across), (x - half, y + across), (x - reach, y)], class_)


def ring(at: Point, *, size: float = 5.5) -> Markup:
    """Draw a dashed ring around a mark of that size: fitting was stopped by its time limit."""
    return element("circle", cx=at[0], cy=at[1], r=size + 3.5, class_="ring")


def text_width(content: str, size: float = 13) -> float:
    """Estimate the width in pixels of a text in a font of `size` pixels, rather too wide than too narrow."""
    return CHARACTER * size * len(content)


@dataclass(frozen=True)
class Scale:
    """A map from values to pixels: linear, or logarithmic to base 10."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Map a value to its pixel."""
        convert: Callable[[float], float] = math.log10 if self.log else float
        low, high = convert(self.low), convert(self.high)
        return self.start + (self.end - self.start) * (convert(value) - low) / (high - low)


def linear_ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Choose about `most` round values that cover the range, at steps of 1, 2 or 5 times a power of ten."""
    spread = max(high - low, 1e-12)
    power = 10 ** math.floor(math.log10(spread / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if spread / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 15) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """List the powers of ten within the range."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10.0**power for power in range(first, last + 1)]


def score_range(values: Sequence[float]) -> tuple[float, float]:
    """Choose ends for a score axis: the values with some margin, rounded outwards to twentieths, within 0 to 1."""
    low, high = min(values), max(values)
    low = max(0.0, math.floor((low - 0.02) * 20) / 20)
    high = min(1.0, math.ceil((high + 0.02) * 20) / 20)
    return (low, high) if high - low >= 0.1 else (max(0.0, high - 0.1), high if high >= 0.1 else 0.1)
