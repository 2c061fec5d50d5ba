"""How a ratio of two sums over the same texts changes: cross-entropy before and after, with bootstrap intervals.

Not covered: scores of answers (`summed`, `paired`).
"""

from collections.abc import Sequence

import numpy as np

from llmtl.metrics.hierarchical import Floats, System, Value, spread
from llmtl.metrics.intervals import Interval

RESAMPLES = 2000


def share_of_rise(before: Sequence[float], after: Sequence[float]) -> Interval:
    """Compute by what share the sum of `after` is above that of `before`, with its 95% interval over texts.

    Raises `ValueError` for fewer than two texts.
    """
    return _interval(np.array([before, after]).T, lambda sums: sums[..., 1] / sums[..., 0] - 1)


def perplexity_ratio(before: Sequence[float], after: Sequence[float], tokens: Sequence[int]) -> Interval:
    """Compute the perplexity after by the one before, from nats and tokens of texts, with its 95% interval over texts.

    Perplexity is e to the mean cross-entropy per token. Raises `ValueError` for fewer than two texts.
    """
    counts = np.array([before, after, tokens], dtype=np.float64).T
    return _interval(counts, lambda sums: np.exp((sums[..., 1] - sums[..., 0]) / sums[..., 2]))


def _interval(counts: Floats, value: Value) -> Interval:
    """Resample texts, whose counts are (N, S)."""
    if len(counts) < 2:
        raise ValueError("An interval over texts needs at least two.")
    nothing = np.zeros((0, counts.shape[1]))
    found = spread(value, [System(counts[None], nothing)], [1.0], resamples=RESAMPLES, seed=0)
    low, high = found.end(0.025), found.end(0.975)
    return Interval(found.value, min(found.value, low), max(found.value, high))
