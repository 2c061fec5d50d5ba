"""Draw small strips beside the comparisons: the difference and its interval around zero."""

from collections.abc import Sequence

from markupsafe import Markup

from llmtl.decision.outcome import Comparison
from llmtl.report import svg, wording
from llmtl.report.metric_words import shown_ends

_WIDTH, _HEIGHT = 150.0, 26.0


def difference_strips(comparisons: Sequence[Comparison], margin: float) -> list[Markup]:
    """Draw one strip per comparison, in order, on a shared scale with zero in the middle and the margin shaded."""
    ends = [abs(end) for comparison in comparisons for end in shown_ends(comparison)]
    reach = 1.1 * max([*ends, margin, 0.01])
    scale = svg.Scale(-reach, reach, 4, _WIDTH - 4)
    return [
        _strip(comparison, scale, margin=margin, name=f"difference-{i}") for i, comparison in enumerate(comparisons)
    ]


def _strip(comparison: Comparison, scale: svg.Scale, *, margin: float, name: str) -> Markup:
    middle = _HEIGHT / 2
    low, high = (scale(end) for end in shown_ends(comparison))
    left, right = scale(-margin), scale(margin)
    stated = f"{wording.difference(comparison.difference)}, {wording.difference_interval(comparison)}"
    return svg.picture(
        (_WIDTH, _HEIGHT),
        name,
        svg.element("rect", x=left, y=3, width=right - left, height=_HEIGHT - 6, class_="margin"),
        svg.line((scale(0), 1), (scale(0), _HEIGHT - 1), class_="zero"),
        svg.line((low, middle), (high, middle), class_="gap"),
        svg.element("circle", cx=scale(comparison.difference), cy=middle, r=4, class_="gap-dot"),
        title=f"{comparison.a} against {comparison.b}",
        description=f"Difference {stated}; the shaded band is the margin.",
    )
