"""How exactly a cost is known: the noise of the clock that it rests on.

The seconds of a request come from several passes over a split where these are quick, else from one, in parts that were
timed one by one. How much they differ says how far another measurement would lie from this one. What is paid by the
token, or stated by somebody, has no such noise.

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


def cost_noise(used: TimedUsage) -> float:
    """Give the noise of the cost of requests, as a share of it: the half-width of its 95% interval."""
    stated = used.stated is not None and used.stated.usd_per_request is not None
    if stated or used.device == "hosted" or used.seconds is None:
        return 0.0
    return timing_noise(used.timings)


def timing_noise(timings: Sequence[tuple[int, float]]) -> float:
    """Give the half-width of the 95% interval of seconds per request, as a share of it, by the t distribution.

    `timings` are requests and seconds of each part. The seconds per request are a ratio of sums over the parts, with
    the variance of a ratio estimate (Cochran 1977, "Sampling Techniques", equation 6.13).
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
