"""What the search over demonstrations found: dev accuracy by their number, one dot a seed and wording."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.view import Candidate


def search_chart(candidates: Sequence[Candidate], *, strategy: str, width: float, name: str) -> Markup:
    """Return one column a number of demonstrations: a dot a seed and wording, a bar at the mean, the choice filled."""
    height = 250.0
    frame = Box(46, 28, width - 16, height - 42)
    by_shots: dict[int, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        by_shots[candidate.shots].append(candidate)
    low, high = svg.score_range([candidate.dev_accuracy for candidate in candidates])
    up = svg.Scale(low, high, frame.bottom, frame.top)
    step = (frame.right - frame.left) / len(by_shots)
    columns = [
        _column(tried, up, x=frame.left + step * (index + 0.5), width=min(step * 0.5, 56), bottom=frame.bottom)
        for index, (_, tried) in enumerate(sorted(by_shots.items()))
    ]
    means = [f"{shots}: mean {wording.score(_mean(tried))}" for shots, tried in sorted(by_shots.items())]
    title = f"Dev accuracy of {strategy} by number of demonstrations"
    return svg.picture((width, height), name, _axes(up, frame), *columns, title=title, description="; ".join(means))


def _mean(tried: Sequence[Candidate]) -> float:
    return fmean(candidate.dev_accuracy for candidate in tried)


def _axes(up: svg.Scale, frame: Box) -> Markup:
    parts = [svg.text((8, 14), "dev accuracy", class_="axis")]
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
    ordered = sorted(tried, key=lambda candidate: candidate.seed)
    spread = width * 0.5 / max(1, len(ordered) - 1)
    for index, candidate in enumerate(ordered):
        at = x + (index - (len(ordered) - 1) / 2) * spread
        worded = f", wording {candidate.instruction + 1}" if candidate.instruction else ""
        score = wording.score(candidate.dev_accuracy)
        tip = f"{candidate.shots} demonstrations, seed {candidate.seed}{worded}: {score}"
        chosen = " (chosen)" if candidate.chosen else ""
        dot = svg.element("circle", cx=at, cy=up(candidate.dev_accuracy), r=5.5, class_="solid" if chosen else "hollow")
        parts.append(svg.group(dot, tip=tip + chosen))
        if chosen:
            parts.append(svg.text((at, up(candidate.dev_accuracy) - 10), "chosen", class_="name", anchor="middle"))
    return svg.group(*parts, class_="role-prompting")
