"""Draw what tuning changed in each layer of a model, and how well labels are told apart there before and after."""

from markupsafe import Markup

from llmtl.findings import LayerChanges
from llmtl.numerals import with_minus
from llmtl.report import svg
from llmtl.report.charts.axes import PLAIN, Ending, Plot
from llmtl.report.charts.placing import Box

_HEIGHT = 220.0


def alike_chart(changes: LayerChanges, *, strategy: str, width: float, name: str) -> Markup | None:
    """Draw linear CKA by layer; None for a model of fewer than two layers."""
    alike = [(float(at), each.cka) for at, each in enumerate(changes.layers)]
    if len(alike) < 3:
        return None
    low = min(0.0, *(value for _, value in alike))
    plot = _plot(changes, (low, 1.05), width, right=18)
    title = f"Likeness of each layer of {strategy} before and after tuning"
    said = ", ".join(f"layer {at:.0f} {_two(value)}" for at, value in alike)
    return svg.picture(
        (width, _HEIGHT),
        name,
        plot.left_axis("likeness (CKA)", [0.0, 0.5, 1.0], "{:.1f}".format, top=14),
        _layers(plot, len(alike)),
        plot.path(alike, "dev-line"),
        *(plot.dot(at, value, radius=3.2, class_="best", tip=f"layer {at:.0f}: {_two(value)}") for at, value in alike),
        title=title,
        description=f"{title}: {said}.",
    )


def separability_chart(changes: LayerChanges, *, strategy: str, width: float, name: str) -> Markup | None:
    """Draw LogME by layer before and after; None where the texts have no labels."""
    before = [(float(at), each.logme_before) for at, each in enumerate(changes.layers) if each.logme_before is not None]
    after = [(float(at), each.logme_after) for at, each in enumerate(changes.layers) if each.logme_after is not None]
    if len(before) < 3 or len(after) != len(before):
        return None
    values = [value for _, value in (*before, *after)]
    reach = max(values) - min(values) or 1.0
    plot = _plot(changes, (min(values) - 0.08 * reach, max(values) + 0.08 * reach), width, right=50)
    title = f"How well each layer of {strategy} tells the labels apart"
    endings = [
        Ending(plot.up(before[-1][1]), "before", "line-label train-line-label"),
        Ending(plot.up(after[-1][1]), "after", "line-label dev-line-label"),
    ]
    return svg.picture(
        (width, _HEIGHT),
        name,
        plot.left_axis("LogME", svg.linear_ticks(plot.up.low, plot.up.high, most=4), "{:.3g}".format, top=14),
        _layers(plot, len(before)),
        plot.path(before, "train-line"),
        plot.path(after, "dev-line"),
        *plot.names(endings, away=6),
        title=title,
        description=f"{title}: {_two(before[-1][1])} before and {_two(after[-1][1])} after tuning in the last one.",
    )


def _two(value: float) -> str:
    return with_minus(f"{value:.2f}")


def _plot(changes: LayerChanges, ends: tuple[float, float], width: float, *, right: float) -> Plot:
    return Plot.of(Box(46, 28, width - right, _HEIGHT - 42), (0.0, float(len(changes.layers) - 1)), ends)


def _layers(plot: Plot, count: int) -> Markup:
    step = max(1, round(count / 8))
    return plot.bottom_axis("layer (0: embeddings)", [float(at) for at in range(0, count, step)], below=PLAIN)
