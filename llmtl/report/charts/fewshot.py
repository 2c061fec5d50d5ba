"""What the search over demonstrations found: dev score by their number, one dot a seed and wording."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.view import Candidate

_RADIUS = 4.5
_APART = 12.0


def search_chart(candidates: Sequence[Candidate], *, strategy: str, metric: str, width: float, name: str) -> Markup:
    """Return one column a number of demonstrations: a dot a seed and wording, a bar at the mean, the choice filled.

    Dots of a column stand side by side, so that equal scores do not hide each other.
    """
    height = 250.0
    frame = Box(46, 28, width - 16, height - 42)
    by_shots: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_shots[candidate.shots].append(candidate)
    low, high = svg.score_range([candidate.score for candidate in candidates])
    up = svg.Scale(low, high, frame.bottom, frame.top)
    step = (frame.right - frame.left) / len(by_shots)
    columns = [
        _column(tried, up, x=frame.left + step * (index + 0.5), width=min(step * 0.84, 132), bottom=frame.bottom)
        for index, (_, tried) in enumerate(sorted(by_shots.items()))
    ]
    means = [f"{shots}: mean {wording.score(_mean(tried))}" for shots, tried in sorted(by_shots.items())]
    measured = f"dev {wording.metric_name(metric)}"
    title = f"{wording.capital(measured)} of {strategy} by number of demonstrations"
    chosen = [f"chosen: {_told(candidate)}" for candidate in candidates if candidate.chosen]
    description = "; ".join([*means, *chosen])
    return svg.picture(
        (width, height), name, _axes(up, frame, measured), *columns, title=title, description=description
    )


def _mean(tried: Sequence[Candidate]) -> float:
    return fmean(candidate.score for candidate in tried)


def _told(candidate: Candidate) -> str:
    worded = f", wording {candidate.instruction + 1}" if candidate.instruction else ""
    return f"{candidate.shots} demonstrations, seed {candidate.seed}{worded}: {wording.score(candidate.score)}"


def _axes(up: svg.Scale, frame: Box, measured: str) -> Markup:
    parts = [svg.text((8, 14), measured, class_="axis")]
    for tick in svg.linear_ticks(up.low, up.high, most=4):
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), f"{tick:.2g}", class_="tick", anchor="end"))
    parts.append(
        svg.text(((frame.left + frame.right) / 2, frame.bottom + 36), "demonstrations", class_="axis", anchor="middle")
    )
    return svg.group(*parts)


def _column(tried: Sequence[Candidate], up: svg.Scale, *, x: float, width: float, bottom: float) -> Markup:
    mean = up(_mean(tried))
    parts = [svg.text((x, bottom + 18), str(tried[0].shots), class_="tick", anchor="middle")]
    if len(tried) > 1:
        parts.append(svg.line((x - width / 2, mean), (x + width / 2, mean), class_="mean"))
    ordered = sorted(tried, key=lambda candidate: (candidate.instruction, candidate.seed))
    spread = min(_APART, (width - 2 * _RADIUS) / max(1, len(ordered) - 1))
    places = {id(each): x + (index - (len(ordered) - 1) / 2) * spread for index, each in enumerate(ordered)}
    for candidate in sorted(ordered, key=lambda each: each.chosen):  # the chosen one last, on top of the others
        at, kind = (places[id(candidate)], up(candidate.score)), "solid" if candidate.chosen else "hollow"
        dot = svg.element("circle", cx=at[0], cy=at[1], r=_RADIUS, class_=kind)
        parts.append(svg.group(dot, tip=f"{_told(candidate)}{' (chosen)' if candidate.chosen else ''}"))
    return svg.group(*parts, class_="role-prompting")
