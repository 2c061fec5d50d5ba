"""How a tuned strategy learned: losses, and accuracy on dev, by training step."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.placing import Box
from llmtl.report.view import CurvePoint

Series = list[tuple[float, float]]


def loss_chart(points: Sequence[CurvePoint], *, strategy: str, width: float, name: str) -> Markup | None:
    """Return training and dev loss by step with the kept checkpoint marked (else the lowest dev loss).

    Returns None where fewer than two losses were recorded.
    """
    train, dev = _series(points, lambda p: p.train_loss), _series(points, lambda p: p.dev_loss)
    if len(train) < 2 and len(dev) < 2:
        return None
    highest = max(value for _, value in train + dev)
    kept = {point.step for point in points if point.kept}
    lowest = min(dev, key=lambda point: point[1]) if dev else None
    best = next((point for point in dev if point[0] in kept), lowest)
    note = f"dev loss {best[1]:.3f} at step {best[0]:.0f}" if best else ""
    title = f"Loss of {strategy} during training"
    lines = [("train", "train-line", train), ("dev", "dev-line", dev)]
    return _curves(
        lines, (0.0, 1.08 * highest), quantity="loss", best=best, width=width, name=name, title=title, note=note
    )


def accuracy_chart(points: Sequence[CurvePoint], *, strategy: str, width: float, name: str) -> Markup | None:
    """Return dev accuracy by step, the kept checkpoint (else the best) marked, or None where it was not recorded."""
    dev = _series(points, lambda p: p.dev_accuracy)
    if len(dev) < 2:
        return None
    kept = {point.step for point in points if point.kept}
    highest = max(dev, key=lambda point: (point[1], -point[0]))
    best = next((point for point in dev if point[0] in kept), highest)
    ends = svg.score_range([value for _, value in dev])
    note = f"dev accuracy {wording.score(best[1])} at step {best[0]:.0f}"
    title = f"Dev accuracy of {strategy} during training"
    return _curves(
        [("dev", "dev-line", dev)],
        ends,
        quantity=f"accuracy on {points[0].accuracy_of}",
        best=best,
        width=width,
        name=name,
        title=title,
        note=note,
    )


def _series(points: Sequence[CurvePoint], of: Callable[[CurvePoint], float | None]) -> Series:
    return [(point.step, value) for point in points if (value := of(point)) is not None]


def _curves(
    lines: Sequence[tuple[str, str, Series]],
    ends: tuple[float, float],
    *,
    quantity: str,
    best: tuple[float, float] | None,
    width: float,
    name: str,
    title: str,
    note: str,
) -> Markup:
    height = 250.0
    frame = Box(46, 28, width - 46, height - 42)
    steps = [step for _, _, series in lines for step, _ in series]
    across = svg.Scale(min(steps), max(*steps, min(steps) + 1), frame.left, frame.right)
    up = svg.Scale(*ends, frame.bottom, frame.top)
    drawn = [svg.path([(across(x), up(y)) for x, y in series], class_) for _, class_, series in lines if series]
    if best:
        drawn.append(svg.element("circle", cx=across(best[0]), cy=up(best[1]), r=4.5, class_="best"))
    labels = _end_labels(lines, up, frame=frame)
    return svg.picture(
        (width, height),
        name,
        _axes(across, up, frame=frame, quantity=quantity),
        *drawn,
        *labels,
        title=title,
        description=f"{title}; {note}.",
    )


def _axes(across: svg.Scale, up: svg.Scale, *, frame: Box, quantity: str) -> Markup:
    parts = [svg.text((8, 14), quantity, class_="axis")]
    for tick in svg.linear_ticks(up.low, up.high, most=4):
        parts.append(svg.line((frame.left, up(tick)), (frame.right, up(tick)), class_="grid"))
        parts.append(svg.text((frame.left - 8, up(tick) + 4), f"{tick:.4g}", class_="tick", anchor="end"))
    for tick in svg.linear_ticks(across.low, across.high, most=5):
        parts.append(svg.text((across(tick), frame.bottom + 18), wording.count(tick), class_="tick", anchor="middle"))
    parts.append(svg.text(((frame.left + frame.right) / 2, frame.bottom + 36), "step", class_="axis", anchor="middle"))
    return svg.group(*parts)


def _end_labels(lines: Sequence[tuple[str, str, Series]], up: svg.Scale, *, frame: Box) -> list[Markup]:
    """Return the name of each line at its right end, moved apart where two lines end close together."""
    ends = sorted((up(series[-1][1]), label, class_) for label, class_, series in lines if series)
    labels, last = [], -100.0
    for y, label, class_ in ends:
        last = max(y, last + 15)
        labels.append(svg.text((frame.right + 6, last + 4), label, class_=f"line-label {class_}-label"))
    return labels
