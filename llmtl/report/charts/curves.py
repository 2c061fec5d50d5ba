"""Draw how a tuned strategy learned: losses, and accuracy on dev, by training step."""

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from llmtl.report import svg, wording
from llmtl.report.charts.axes import PLAIN, Ending, Plot
from llmtl.report.charts.placing import Box
from llmtl.report.svg import Point
from llmtl.report.view import DrawnRates, DrawnStep

_HEIGHT = 250.0

Series = list[Point]


def loss_chart(points: Sequence[DrawnStep], *, strategy: str, width: float, name: str) -> Markup | None:
    """Draw training and dev loss by step, and mark the kept checkpoint (else the lowest dev loss).

    Returns None if fewer than two losses were recorded.
    """
    train, dev = _series(points, lambda p: p.train_loss), _series(points, lambda p: p.dev_loss)
    if len(train) < 2 and len(dev) < 2:
        return None
    best = _kept(points, dev) or min(dev, key=lambda point: point[1], default=None)
    plot = _plot([*train, *dev], (0.0, 1.08 * max(value for _, value in train + dev)), width)
    title = f"Loss of {strategy} during training"
    note = f"dev loss {best[1]:.3f} at step {best[0]:.0f}" if best else ""
    lines = [("train", train), ("dev", dev)]
    return svg.picture(
        (width, _HEIGHT), name, *_drawn(plot, lines, "loss", best=best), title=title, description=f"{title}; {note}."
    )


def accuracy_chart(points: Sequence[DrawnStep], *, strategy: str, width: float, name: str) -> Markup | None:
    """Draw dev accuracy, or another metric, by step, and mark the kept checkpoint (else the best).

    Returns None if it was not recorded.
    """
    dev = _series(points, lambda p: p.dev_accuracy)
    if len(dev) < 2:
        return None
    best = _kept(points, dev) or max(dev, key=lambda point: (point[1], -point[0]))
    plot = _plot(dev, svg.score_range([value for _, value in dev]), width)
    title = f"Dev {points[0].scored} of {strategy} during training"
    note = f"dev {points[0].scored} {wording.score(best[1])} at step {best[0]:.0f}"
    drawn = _drawn(plot, [("dev", dev)], f"{points[0].scored} on {points[0].accuracy_of}", best=best)
    return svg.picture((width, _HEIGHT), name, *drawn, title=title, description=f"{title}; {note}.")


def rates_chart(searched: DrawnRates, *, strategy: str, width: float, name: str) -> Markup | None:
    """Draw the training loss by the learning rate that rose, and a dot where the rate in use stands.

    Returns None if fewer than two rates were tried.
    """
    tried = list(searched.tried)
    if len(tried) < 2:
        return None
    rates, losses = [rate for rate, _ in tried], [loss for _, loss in tried]
    frame = Box(46, 28, width - 46, _HEIGHT - 42)
    plot = Plot.of(frame, (rates[0], rates[-1]), (0.0, 1.08 * max(losses)), log_across=True)
    used = min(tried, key=lambda point: abs(math.log(point[0] / searched.used)))
    inside = rates[0] <= searched.used <= rates[-1]
    title = f"Loss of a copy of {strategy} by learning rate"
    drawn = [
        plot.left_axis("loss", svg.linear_ticks(0.0, plot.up.high, most=4), "{:.4g}".format, top=14),
        plot.bottom_axis("learning rate", svg.log_ticks(rates[0], rates[-1]), "{:.0e}".format, below=PLAIN),
        plot.path(tried, "train-line"),
        *([plot.dot(*used, radius=4.5, class_="best")] if inside else []),
    ]
    note = f"trained with {searched.used:.1e}"
    return svg.picture((width, _HEIGHT), name, *drawn, title=title, description=f"{title}; {note}.")


def _series(points: Sequence[DrawnStep], of: Callable[[DrawnStep], float | None]) -> Series:
    return [(point.step, value) for point in points if (value := of(point)) is not None]


def _kept(points: Sequence[DrawnStep], series: Series) -> Point | None:
    kept = {point.step for point in points if point.kept}
    return next((point for point in series if point[0] in kept), None)


def _plot(shown: Series, ends: tuple[float, float], width: float) -> Plot:
    first, last = min(step for step, _ in shown), max(step for step, _ in shown)
    return Plot.of(Box(46, 28, width - 46, _HEIGHT - 42), (first, max(last, first + 1)), ends)


def _drawn(plot: Plot, lines: Sequence[tuple[str, Series]], quantity: str, *, best: Point | None) -> list[Markup]:
    """Draw the axes, one line per series with its name at its right end, and the dot on the best point."""
    lines = [(of, series) for of, series in lines if series]
    return [
        plot.left_axis(quantity, svg.linear_ticks(plot.up.low, plot.up.high, most=4), "{:.4g}".format, top=14),
        plot.bottom_axis("step", svg.linear_ticks(plot.across.low, plot.across.high, most=5), below=PLAIN),
        *(plot.path(series, f"{of}-line") for of, series in lines),
        *([plot.dot(*best, radius=4.5, class_="best")] if best else []),
        *plot.names((Ending(plot.up(s[-1][1]), of, f"line-label {of}-line-label") for of, s in lines), away=6),
    ]
