"""How exactly a cost is known: the noise of the clock that it rests on.

The seconds of a request come from several passes over a split where these are quick, else from one, in parts that were
timed one by one. How much they differ says how far another measurement would lie from this one. What is paid by the
token, or stated by somebody, has no such noise.

Beside that, seconds can be too many: on a machine that other programs use as well, some of them were spent waiting for
a processor. Parts that were measured minutes apart from another strategy's do not tell of that by how much they differ,
since the load was another one then. So the seconds that were waited are a doubt of their own, to one side.

Not covered: prices that change, and what differs between one machine and another.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from llmtl.costs.pricing import Usage

UNTIMED = 0.25
"""The noise, as a share of the cost, of seconds without parts: a single timing says nothing about its own noise."""
FEWEST_PARTS = 3
"""Fewer parts say nothing about how much they vary."""


class TimedUsage(Usage, Protocol):
    """What a strategy was measured to use, with the parts that its seconds are made of."""

    @property
    def timings(self) -> tuple[tuple[int, float], ...]:
        """Parts of `seconds` in order, or several passes: requests and seconds of each."""

    @property
    def waited_seconds(self) -> float | None:
        """Those of `seconds` that other programs took; None where that was not measured."""


def cost_noise(used: TimedUsage) -> float:
    """Give the noise of the cost of requests, as a share of it: the half-width of its 95% interval."""
    return timing_noise(used.timings) if _timed(used) else 0.0


def cost_of_load(used: TimedUsage) -> float:
    """Give the share of the cost of requests that may be owed to other programs on the machine, 0 to 1."""
    if not _timed(used) or not used.seconds:
        return 0.0
    return min(1.0, (used.waited_seconds or 0.0) / used.seconds)


def _timed(used: TimedUsage) -> bool:
    """Say whether the cost of requests follows from seconds that were measured."""
    stated = used.stated is not None and used.stated.usd_per_request is not None
    return not (stated or used.device == "hosted" or used.seconds is None)


def noise_between(a: TimedUsage, b: TimedUsage) -> float:
    """Give the noise of the ratio of two costs of requests, as a share of it: the half-width of its 95% interval.

    Where both were timed on the same parts these are compared one by one: that a part has longer inputs than the next
    says nothing about how exactly the ratio is known.
    """
    same = [requests for requests, _ in a.timings] == [requests for requests, _ in b.timings]
    if _timed(a) and _timed(b) and same and len(a.timings) >= FEWEST_PARTS:
        return timing_noise([(other, one) for (_, one), (_, other) in zip(a.timings, b.timings, strict=True)])
    return math.hypot(cost_noise(a), cost_noise(b))


def timing_noise(timings: Sequence[tuple[float, float]]) -> float:
    """Give the half-width of the 95% interval of seconds per request, as a share of it, by the t distribution.

    `timings` are requests (or seconds of another strategy) and seconds of each part. The seconds per request are a
    ratio of sums over the parts, with the variance of a ratio estimate (Cochran 1977, "Sampling Techniques",
    equation 6.13).
    """
    parts = [(requests, seconds) for requests, seconds in timings if requests > 0]
    total = sum(seconds for _, seconds in parts)
    if len(parts) < FEWEST_PARTS or total <= 0:
        return UNTIMED
    requests, seconds = np.array(parts, dtype=float).T
    each = seconds.sum() / requests.sum()
    residuals = seconds - each * requests
    error = math.sqrt(len(parts) * float((residuals**2).sum()) / (len(parts) - 1)) / total
    return float(stdtrit(len(parts) - 1, 0.975)) * error
