"""Intervals around a score."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A point estimate and the ends of its 95% confidence interval."""

    value: float
    low: float
    high: float
