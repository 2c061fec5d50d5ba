"""How a tuned strategy learned: losses, and accuracy on dev, by training step."""

from collections.abc import Callable, Sequence

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import PLAIN, Ending, Plot
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
    plot = Plot(
        frame,
        svg.Scale(min(steps), max(*steps, min(steps) + 1), frame.left, frame.right),
        svg.Scale(*ends, frame.bottom, frame.top),
    )
    lines = [line for line in lines if line[2]]
    return svg.picture(
        (width, height),
        name,
        plot.left_axis(quantity, svg.linear_ticks(*ends, most=4), "{:.4g}".format, top=14),
        plot.bottom_axis("step", svg.linear_ticks(plot.across.low, plot.across.high, most=5), below=PLAIN),
        *(plot.path(series, class_) for _, class_, series in lines),
        *([plot.dot(*best, radius=4.5, class_="best")] if best else []),
        *plot.names(
            (Ending(plot.up(s[-1][1]), label, f"line-label {class_}-label") for label, class_, s in lines), away=6
        ),
        title=title,
        description=f"{title}; {note}.",
    )
