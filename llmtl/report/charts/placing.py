"""Choose where to write labels beside points so that nothing overlaps.

Greedy: each point in turn takes the first free place of a fixed list, else the least crowded one. Not covered: moving
labels after they are placed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmtl.report.svg import Point, text_width

_SIZE = 13.0
_HEIGHT = 16.0
_GAP = 9.0
_LABEL = 4.0
_CROSSING = 60.0
_OUTSIDE = 100.0
_CLEAR_OF_MARK = 13


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: "Box") -> float:
        """Compute the area that two boxes share, in square pixels."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide * high if wide > 0 and high > 0 else 0.0

    def outside(self, frame: "Box") -> float:
        """Measure how far the box sticks out of a frame, in pixels, all sides added."""
        sticks = (frame.left - self.left, self.right - frame.right, frame.top - self.top, self.bottom - frame.bottom)
        return sum(max(0.0, stick) for stick in sticks)


@dataclass(frozen=True)
class Place:
    """The box of one label and, where it stands away from its point, the two ends of a line that leads there."""

    box: Box
    leader: tuple[Point, Point] | None

    @property
    def baseline(self) -> Point:
        """Where the text starts, in pixels."""
        return self.box.left, self.box.bottom - 4


def place_labels(
    points: Sequence[Point], labels: Sequence[str], *, frame: Box, lines: Sequence[Point] = ()
) -> list[Place]:
    """Choose one place per label, in order, clear of points, earlier labels, `lines` and the frame if possible.

    `lines` are the corners of a line made of upright and level strokes.
    """
    marks = [Box(x - 7, y - 7, x + 7, y + 7) for x, y in points]
    strokes = [
        Box(min(a[0], b[0]) - 1, min(a[1], b[1]) - 1, max(a[0], b[0]) + 1, max(a[1], b[1]) + 1)
        for a, b in pairwise(lines)
    ]
    places: list[Place] = []
    for point, label in zip(points, labels, strict=True):
        taken = [place.box for place in places]
        options = _options(point, text_width(label, _SIZE))
        costs = [_cost(option, taken, light=[*marks, *strokes], marks=marks, frame=frame) for option in options]
        places.append(options[costs.index(min(costs))])
    return places


def _cost(place: Place, taken: Sequence[Box], *, light: Sequence[Box], marks: Sequence[Box], frame: Box) -> float:
    """Rate how bad a place is: the area that it covers, what its leader crosses, and what sticks out of the frame."""
    covered = sum(place.box.overlap(box) for box in light) + _LABEL * sum(place.box.overlap(box) for box in taken)
    steps = _along(place.leader)
    crossed = sum(any(step.overlap(box) > 0 for step in steps) for box in (*taken, *marks))
    return covered + _CROSSING * crossed + _OUTSIDE * place.box.outside(frame)


def _along(leader: tuple[Point, Point] | None) -> list[Box]:
    """Lay small boxes along a leader, from just outside its own mark to just before its label."""
    if leader is None:
        return []
    (x0, y0), (x1, y1) = leader
    length = max(math.hypot(x1 - x0, y1 - y0), 1.0)
    steps = [step / length for step in range(_CLEAR_OF_MARK, int(length) - 1, 4)]
    centres = [(x0 + step * (x1 - x0), y0 + step * (y1 - y0)) for step in steps]
    return [Box(x - 1, y - 1, x + 1, y + 1) for x, y in centres]


def _options(point: Point, width: float) -> list[Place]:
    """List the places for a label of some width, best first: beside its point, then further away."""
    x, y = point
    right, left = x + _GAP, x - _GAP - width
    middle = x - width / 2
    beside = [(right, y - _HEIGHT / 2), (middle, y - _GAP + 2 - _HEIGHT), (middle, y + _GAP - 2)]
    corners = [(left, y - _HEIGHT / 2)]
    places = [_place(point, start, width=width) for start in beside + corners]
    for reach in (0.0, 12.0, 26.0, 42.0, 60.0):
        above, below = y - _GAP + 2 - _HEIGHT - reach, y + _GAP - 2 + reach
        starts = [(right, above), (left, above), (right, below), (left, below), (middle, above), (middle, below)]
        places += [_place(point, start, width=width, far=reach > 0) for start in starts]
    return places


def _place(point: Point, start: Point, *, width: float, far: bool = False) -> Place:
    box = Box(start[0], start[1], start[0] + width, start[1] + _HEIGHT)
    if not far:
        return Place(box, None)
    end = (min(max(point[0], box.left + 4), box.right - 4), box.bottom if box.bottom < point[1] else box.top)
    return Place(box, (point, end))
