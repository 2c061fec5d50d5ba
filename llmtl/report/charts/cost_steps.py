"""Draw what strategies cost per month over the requests per month: lines that step up where a machine is added.

Not covered: which strategies and crossings to draw, and what is said of them (`cost_by_volume`, the playground).
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup

from llmtl.costs import CostLine
from llmtl.report import svg, wording
from llmtl.report.charts.axes import Plot, money_tick, thinned, written_count
from llmtl.report.charts.placing import Box

_SAMPLES = 80
_MOST_STEPS = 400
"""More steps than this are closer together than pixels, and drawn as a slope."""
AROUND = 20.0
"""The axis goes at least from the expected volume divided by this to that times this."""
BEYOND = 2.0
"""And as many times past each crossing that is shown."""
_CENT = 0.01
"""No axis of money starts below it."""


def steps_plot(
    lines: Sequence[CostLine], expected: float, crossings: Sequence[float], *, months: float, frame: Box
) -> Plot:
    """Make a plot around the expected volume that shows these crossings; its axis of money ends at powers of ten.

    Across it ends at the 1, 2 or 5 of a power of ten: a power alone may be far from any volume that matters.
    """
    low = _round_down(max(1.0, min([expected / AROUND, *(each / BEYOND for each in crossings)])))
    high = _round_up(max([expected * AROUND, *(each * BEYOND for each in crossings)]))
    least = min(line.usd_per_month(min([expected, *crossings]), months=months) for line in lines)
    most = max(line.usd_per_month(high, months=months) for line in lines)
    bottom = 10.0 ** math.floor(math.log10(max(_CENT, least)) - 1e-9)
    top = 10.0 ** math.ceil(math.log10(max(most, 10 * bottom)))
    return Plot.of(frame, (low, high), (bottom, top), log_across=True, log_up=True)


def _round_down(volume: float) -> float:
    power = 10.0 ** math.floor(math.log10(volume) + 1e-9)
    return power * max(step for step in (1, 2, 5) if step == 1 or power * step <= volume * (1 + 1e-9))


def _round_up(volume: float) -> float:
    power = 10.0 ** math.floor(math.log10(volume) + 1e-9)
    return power * min(step for step in (1, 2, 5, 10) if power * step >= volume * (1 - 1e-9))


def axes(plot: Plot) -> list[Markup]:
    """Draw both axes."""
    ticks = svg.log_ticks(plot.up.low, plot.up.high)
    if len(ticks) <= 3:
        ticks = sorted({*ticks, *(5 * tick for tick in ticks[:-1]), *(2 * tick for tick in ticks[:-1])})
    return [
        plot.left_axis("USD per month", thinned(ticks, 8), money_tick),
        plot.bottom_axis("requests per month", plot.log_ticks_across(), written_count),
    ]


def cost_path(line: CostLine, plot: Plot, class_: str, *, months: float) -> Markup:
    """Draw one strategy's cost where it is within the frame."""
    points = [(at, line.usd_per_month(at, months=months)) for at in _volumes(line, plot)]
    kept = [(at, usd) for at, usd in points if plot.up.low <= usd <= plot.up.high]
    return plot.path(kept, class_) if len(kept) > 1 else Markup("")


def tip(line: CostLine) -> str:
    """Say in one line what a strategy costs: `qlora: $734 per month and machine, one per 10,000,000 requests`."""
    running = line.running
    parts = [f"{wording.readable_usd(line.fixed_usd)} once"]
    if running.requests_per_machine is not None:
        carries = running.requests_per_machine
        one = f"one carries {wording.about(carries)} requests" if math.isfinite(carries) else "one carries any volume"
        parts.append(f"{wording.readable_usd(running.usd_per_machine)} per machine and month, {one}")
    if running.usd_per_request:
        parts.append(f"{wording.usd(1000 * running.usd_per_request)} per 1,000 requests")
    return f"{line.name}: {', '.join(parts)}"


def _volumes(line: CostLine, plot: Plot) -> Iterable[float]:
    """List the volumes to join: both sides of every step, and enough others for a slope."""
    low, high = plot.across.low, plot.across.high
    found = list(np.geomspace(low, high, _SAMPLES))
    each = line.running.requests_per_machine
    if each is not None and math.isfinite(each) and high / each <= _MOST_STEPS:
        full = [each * count for count in range(1, math.floor(high / each) + 1) if each * count > low]
        found += [at for edge in full for at in (edge, edge * (1 + 1e-6))]
    return sorted(found)
