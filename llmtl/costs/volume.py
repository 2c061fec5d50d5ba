"""Cost per month over the request volume: what is cheapest where, and from which volume on one costs less than another.

A strategy costs a fixed sum, spread evenly over the months of the horizon, a sum for each request, and whole machines:
one more whenever the others are full. So its cost is a line with steps, and two of them may cross several times.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_MACHINES = 1000
"""Crossings are looked for up to so many machines of either strategy."""
_SAME = 1e-9
"""Costs and counts of machines that differ by less, relatively, are the same: that is rounding."""


@dataclass(frozen=True)
class Running:
    """What answering costs: `usd_per_request`, and whole machines at `usd_per_machine` per month each.

    `requests_per_machine` are those of a month that one machine carries; None where no machine is needed.
    """

    usd_per_request: float = 0.0
    usd_per_machine: float = 0.0
    requests_per_machine: float | None = None

    def machines(self, requests_per_month: float) -> int:
        """Count the machines for a volume: at least one for any requests at all."""
        if self.requests_per_machine is None or requests_per_month <= 0:
            return 0
        return max(1, math.ceil(requests_per_month / self.requests_per_machine * (1 - _SAME)))

    def usd_per_month(self, requests_per_month: float) -> float:
        """Price one month of a volume, USD."""
        return requests_per_month * self.usd_per_request + self.machines(requests_per_month) * self.usd_per_machine

    def usd_per_1k(self, requests_per_month: float) -> float:
        """Price 1,000 requests at a volume, USD, idle machines included; without requests, at full use."""
        if requests_per_month > 0:
            return 1000 * self.usd_per_month(requests_per_month) / requests_per_month
        share = 0.0 if self.requests_per_machine is None else self.usd_per_machine / self.requests_per_machine
        return 1000 * (self.usd_per_request + share)


@dataclass(frozen=True)
class CostLine:
    """What one strategy costs: `fixed_usd` once, and `running` it."""

    name: str
    fixed_usd: float
    running: Running

    def usd_per_month(self, requests_per_month: float, *, months: float) -> float:
        """Price one month at a volume, USD, the fixed sum spread over the months."""
        return self.fixed_usd / months + self.running.usd_per_month(requests_per_month)


@dataclass(frozen=True)
class Crossing:
    """The monthly volume above which `cheaper_above` never costs more than `cheaper_below`, which does below.

    `usd_per_month` is what `cheaper_above` costs there.
    """

    cheaper_below: str
    cheaper_above: str
    requests_per_month: float
    usd_per_month: float


def crossings(lines: Sequence[CostLine], of: str, *, months: float) -> tuple[Crossing, ...]:
    """Find from which volumes on the strategy named `of` costs less or more than each other one, by rising volume."""
    one = next(line for line in lines if line.name == of)
    found = (crossing(one, other, months=months) for other in lines if other.name != of)
    return tuple(sorted((item for item in found if item), key=lambda item: item.requests_per_month))


def crossing(a: CostLine, b: CostLine, *, months: float) -> Crossing | None:
    """Find the volume above which one never costs more than the other; None where that holds at every volume."""
    ends = _ends(a, b, months)
    starts = np.concatenate([[0.0], ends[:-1]])
    # between two steps both are straight, so their difference is known from its ends
    first, last = (_differences(a, b, at, middle=(starts + ends) / 2, months=months) for at in (starts, ends))
    signs = np.stack([np.sign(first), np.sign(last)], axis=1).ravel()
    decided = np.flatnonzero(signs)
    if not len(decided):
        return None
    final = signs[decided[-1]]
    before = np.flatnonzero(signs == -final)
    if not len(before):
        return None
    piece, at_end = divmod(int(before[-1]), 2)
    at = float(ends[piece])
    if not at_end:
        share = first[piece] / (first[piece] - last[piece])
        at = float(starts[piece] + share * (ends[piece] - starts[piece]))
    above, below = (a, b) if final < 0 else (b, a)
    return Crossing(below.name, above.name, at, above.usd_per_month(at, months=months))


def cheapest_by_volume(lines: Sequence[CostLine], requests_per_month: float, *, months: float) -> str:
    """Name the strategy that costs least at a volume, the first of equal ones."""
    return min(lines, key=lambda line: line.usd_per_month(requests_per_month, months=months)).name


def _ends(a: CostLine, b: CostLine, months: float) -> NDArray[np.float64]:
    """List the volumes up to which nobody needs another machine, rising, the last past every crossing."""
    full = [line.running.requests_per_machine for line in (a, b)]
    loads = [each for each in full if each is not None and math.isfinite(each)]
    if loads:
        most = MOST_MACHINES * min(loads)
        steps = [each * np.arange(1, math.floor(most / each * (1 + _SAME)) + 1) for each in loads]
        found = np.unique(np.concatenate(steps))
        return found[np.diff(found, prepend=0.0) > _SAME * found]
    slope = abs(a.running.usd_per_request - b.running.usd_per_request)
    sums = sum(line.fixed_usd / months + line.running.usd_per_machine for line in (a, b))
    return np.array([1.0 if slope == 0 else 1.0 + 2 * sums / slope])


def _differences(
    a: CostLine, b: CostLine, at: NDArray[np.float64], *, middle: NDArray[np.float64], months: float
) -> NDArray[np.float64]:
    """Subtract what b costs from what a does at these volumes, with the machines that the middle of a piece needs."""
    one, other = (_costs(line, at, middle, months) for line in (a, b))
    differences: NDArray[np.float64] = one - other
    differences[np.abs(differences) <= _SAME * np.maximum(one, other)] = 0.0
    return differences


def _costs(line: CostLine, at: NDArray[np.float64], middle: NDArray[np.float64], months: float) -> NDArray[np.float64]:
    running = line.running
    machines = np.zeros(len(at))
    if running.requests_per_machine is not None:
        machines = np.maximum(1.0, np.ceil(middle / running.requests_per_machine))
    return line.fixed_usd / months + at * running.usd_per_request + machines * running.usd_per_machine
