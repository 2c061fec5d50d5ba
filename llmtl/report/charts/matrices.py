"""Draw the confusion of many labels as a heat map, and confidence against accuracy."""

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import TIGHT, Plot
from llmtl.report.charts.placing import Box
from llmtl.report.confusion import Confusion
from llmtl.report.reliability import Reliability


def heat_map(confusion: Confusion, *, width: float, name: str) -> Markup:
    """Draw one square per pair of reference (down) and predicted label (across), darker for a larger row share."""
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
    """Draw accuracy by confidence, one dot per bin that grows with the bin's size, beside the ideal diagonal."""
    frame = Box(44, 26, width - 14, width - 24)
    plot = Plot.of(frame, (0, 1), (0, 1))
    ticks, largest = (0.0, 0.5, 1.0), max(group.n for group in reliability.bins)
    parts = [
        plot.left_axis("accuracy", ticks, "{:g}".format, top=14),
        plot.bottom_axis("confidence", ticks, "{:g}".format, below=TIGHT),
        svg.line(plot.at(0, 0), plot.at(1, 1), class_="target"),
        plot.path([(group.confidence, group.accuracy) for group in reliability.bins], "dev-line"),
    ]
    for group in reliability.bins:
        tip = (
            f"{wording.plural(group.n, 'example')}: mean confidence {wording.score(group.confidence)}, "
            f"accuracy {wording.score(group.accuracy)}"
        )
        radius = 2.5 + 5 * (group.n / largest) ** 0.5
        parts.append(plot.dot(group.confidence, group.accuracy, radius=radius, class_="best", tip=tip))
    title = f"Calibration of {reliability.strategy} on test"
    description = (
        f"Expected calibration error {wording.score(reliability.ece)}; on the diagonal confidence is accuracy."
    )
    return svg.picture((width, width + 20), name, *parts, title=title, description=description)
