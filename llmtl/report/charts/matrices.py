"""The confusion of many labels as a heat map, and confidence against accuracy."""

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.confusion import Confusion
from llmtl.report.reliability import Reliability


def heat_map(confusion: Confusion, *, width: float, name: str) -> Markup:
    """Return one square a pair of reference (down) and predicted label (across), darker for a larger row share."""
    cell = max(3.0, (width - 30) / len(confusion.columns))
    across, down = cell * len(confusion.columns), cell * len(confusion.rows)
    squares = [
        _square(confusion, row, column=column, cell=cell)
        for row in range(len(confusion.rows))
        for column in range(len(confusion.columns))
        if confusion.counts[row][column]
    ]
    back = svg.element("rect", x=24, y=24, width=across, height=down, class_="heat-back")
    axes = [
        svg.text((24, 14), "predicted label →", class_="axis"),
        svg.element("text", "reference →", class_="axis", transform=f"translate(14 {24 + 84}) rotate(-90)"),
    ]
    right = sum(confusion.counts[i][i] for i in range(len(confusion.rows)))
    total = sum(map(sum, confusion.counts))
    description = f"{right} of {total} on the diagonal; the most frequent mistakes are listed in the table."
    title = f"Confusion of {confusion.strategy} over {len(confusion.rows)} labels"
    return svg.picture((across + 30, down + 30), name, back, *axes, *squares, title=title, description=description)


def _square(confusion: Confusion, row: int, *, column: int, cell: float) -> Markup:
    reference, predicted = confusion.rows[row], confusion.columns[column]
    share = confusion.share(row, column)
    tip = f"{reference} → {predicted}: {confusion.counts[row][column]} of {sum(confusion.counts[row])}"
    kind = "right" if reference == predicted else "wrong"
    return svg.element(
        "rect",
        svg.element("title", tip),
        x=24 + column * cell,
        y=24 + row * cell,
        width=cell - 0.5,
        height=cell - 0.5,
        fill_opacity=f"{0.25 + 0.75 * share:.2f}",
        class_=f"heat-{kind}",
    )


def reliability_chart(reliability: Reliability, *, width: float, name: str) -> Markup:
    """Return accuracy by confidence, one dot a bin that grows with its size, beside the ideal diagonal."""
    frame = Box(44, 26, width - 14, width - 24)
    across, up = svg.Scale(0, 1, frame.left, frame.right), svg.Scale(0, 1, frame.bottom, frame.top)
    parts = [svg.text((8, 14), "accuracy", class_="axis")]
    for tick in (0.0, 0.5, 1.0):
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), f"{tick:g}", class_="tick", anchor="end"))
        parts.append(svg.text((across(tick), frame.bottom + 16), f"{tick:g}", class_="tick", anchor="middle"))
    parts.append(svg.line((across(0), up(0)), (across(1), up(1)), class_="target"))
    parts.append(svg.path([(across(group.confidence), up(group.accuracy)) for group in reliability.bins], "dev-line"))
    largest = max(group.n for group in reliability.bins)
    for group in reliability.bins:
        tip = (
            f"{wording.plural(group.n, 'example')}: mean confidence {wording.score(group.confidence)}, "
            f"accuracy {wording.score(group.accuracy)}"
        )
        radius = 2.5 + 5 * (group.n / largest) ** 0.5
        dot = svg.element("circle", cx=across(group.confidence), cy=up(group.accuracy), r=radius, class_="best")
        parts.append(svg.group(dot, tip=tip))
    parts.append(
        svg.text(((frame.left + frame.right) / 2, frame.bottom + 34), "confidence", class_="axis", anchor="middle")
    )
    title = f"Calibration of {reliability.strategy} on test"
    description = (
        f"Expected calibration error {wording.score(reliability.ece)}; on the diagonal confidence is accuracy."
    )
    return svg.picture((width, width + 20), name, *parts, title=title, description=description)
