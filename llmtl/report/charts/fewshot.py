"""Draw what the searches on dev found: the score by number of demonstrations, one dot per seed and wording.

All strategies share one axis, side by side, so that their scores can be compared. Not covered: what else was tried.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import PLAIN, Plot
from llmtl.report.charts.placing import Box
from llmtl.report.prompt_choices import in_orders
from llmtl.report.view import DrawnPrompt
from llmtl.strategy import Retrieval

_RADIUS = 4.5
_APART = 12.0
_COLUMN = 44.0
"""The narrowest column: a number of demonstrations and one dot."""
_BETWEEN = 26.0
_STRETCH = 1.7
_HEIGHT = 270.0


@dataclass(frozen=True)
class _Group:
    """One strategy's columns: what was tried by number of demonstrations, and the width that they need in pixels."""

    strategy: str
    columns: tuple[tuple[DrawnPrompt, ...], ...]

    @property
    def widths(self) -> tuple[float, ...]:
        """The width of each column in pixels, together at least as wide as the strategy's name."""
        wanted = [max(_COLUMN, _APART * (len(column) + 1)) for column in self.columns]
        stretch = max(1.0, svg.text_width(self.strategy) / sum(wanted))
        return tuple(width * stretch for width in wanted)


def search_chart(
    searches: Mapping[str, Sequence[DrawnPrompt]],
    *,
    metric: str,
    ends: tuple[float, float],
    width: float,
    name: str,
) -> Markup | None:
    """Draw one column per number of demonstrations: a dot per seed and wording, a bar at the mean, the choice filled.

    Dots of a column stand side by side, so that equal scores do not hide each other. `ends` are those of the score axis
    (`search_ends`). None if nothing was searched.
    """
    groups = [_group(strategy, tried) for strategy, tried in searches.items() if tried]
    if not groups:
        return None
    wanted = sum(sum(group.widths) for group in groups)
    gaps = _BETWEEN * (len(groups) - 1)
    frame = Box(46, 46, min(width - 16, 46 + gaps + _STRETCH * wanted), _HEIGHT - 42)
    plot = Plot.of(frame, (0.0, wanted), ends)
    measured = f"dev {wording.metric_name(metric)}"
    return svg.picture(
        (frame.right + 16, _HEIGHT),
        name,
        plot.score_axis(measured),
        plot.bottom_axis("demonstrations", below=PLAIN),
        *_drawn(groups, plot.up, frame=frame, stretch=(frame.right - frame.left - gaps) / wanted),
        title=f"{wording.capital(measured)} of {', '.join(searches)} by number of demonstrations",
        description="; ".join(told for group in groups for told in _description(group)),
    )


def search_ends(searches: Mapping[str, Sequence[DrawnPrompt]]) -> tuple[float, float]:
    """Choose the ends of one score axis for all searches."""
    return svg.score_range([each.score for tried in searches.values() for each in tried] or [0.0])


def _group(strategy: str, tried: Sequence[DrawnPrompt]) -> _Group:
    by_shots: dict[int, list[DrawnPrompt]] = defaultdict(list)
    for candidate in tried:
        by_shots[candidate.shots].append(candidate)
    return _Group(strategy, tuple(tuple(column) for _, column in sorted(by_shots.items())))


def _drawn(groups: Sequence[_Group], up: svg.Scale, *, frame: Box, stretch: float) -> list[Markup]:
    """Draw all columns from left to right, each strategy under its name."""
    parts, left = [], frame.left
    for number, group in enumerate(groups):
        if number:
            x = left - _BETWEEN / 2
            parts.append(svg.line((x, frame.top - 12), (x, frame.bottom + 22), class_="grid"))
        whole = stretch * sum(group.widths)
        parts.append(svg.text((left + whole / 2, frame.top - 14), group.strategy, class_="name", anchor="middle"))
        for column, wanted in zip(group.columns, group.widths, strict=True):
            room = stretch * wanted
            parts.append(_column(column, up, x=left + room / 2, width=min(0.84 * room, 150.0), bottom=frame.bottom))
            left += room
        left += _BETWEEN
    return parts


def _description(group: _Group) -> list[str]:
    means = [f"{column[0].shots}: mean {wording.score(_mean(column))}" for column in group.columns]
    chosen = [f"chosen: {_told(each)}" for column in group.columns for each in column if each.chosen]
    return [f"{group.strategy}: {', '.join([*means, *chosen])}"]


def _mean(tried: Sequence[DrawnPrompt]) -> float:
    return fmean(candidate.score for candidate in tried)


def _told(candidate: DrawnPrompt) -> str:
    worded = f", wording {candidate.instruction + 1}" if candidate.instruction else ""
    orders = f", {in_orders(candidate.rotations)}" if candidate.rotations > 1 else ""
    found = ", by the encoder's embeddings" if candidate.retrieval == Retrieval.SENTENCES else ""
    told = f"{candidate.shots} demonstrations, seed {candidate.seed}{worded}{orders}{found}"
    return f"{told}: {wording.score(candidate.score)}"


def _column(tried: Sequence[DrawnPrompt], up: svg.Scale, *, x: float, width: float, bottom: float) -> Markup:
    mean = up(_mean(tried))
    parts = [svg.text((x, bottom + 18), str(tried[0].shots), class_="tick", anchor="middle")]
    if len(tried) > 1:
        parts.append(svg.line((x - width / 2, mean), (x + width / 2, mean), class_="mean"))
    ordered = sorted(tried, key=lambda candidate: (candidate.rotations, candidate.instruction, candidate.seed))
    spread = min(_APART, (width - 2 * _RADIUS) / max(1, len(ordered) - 1))
    places = {id(each): x + (index - (len(ordered) - 1) / 2) * spread for index, each in enumerate(ordered)}
    for candidate in sorted(ordered, key=lambda each: each.chosen):  # the chosen one last, on top of the others
        at, kind = (places[id(candidate)], up(candidate.score)), "solid" if candidate.chosen else "hollow"
        dot = svg.element("circle", cx=at[0], cy=at[1], r=_RADIUS, class_=kind)
        parts.append(svg.group(dot, tip=f"{_told(candidate)}{' (chosen)' if candidate.chosen else ''}"))
    return svg.group(*parts, class_="role-prompting")
