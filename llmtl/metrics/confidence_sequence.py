"""Test whether one strategy is better than another while examples still come in; the result may be read at any time.

The differences between two strategies' scores on the examples of one fixed set (dev) are seen in random order, without
replacement, and the question is about their mean over the whole set. The evidence is the wealth of bets against "the
mean is at most `bound`" that are fair under it: Waudby-Smith & Ramdas (2024), "Estimating means of bounded random
variables by betting", sections 3 and 5. With x = (difference + 1) / 2 and m the conditional mean that the hypothesis
leaves for the next example, a bet of the share f multiplies the wealth by 1 + f (x / m - 1). The wealth here is the
mean over several shares, so that none has to be tuned (their section B.3). By Ville's inequality it ever exceeds
1 / alpha with probability at most alpha when the hypothesis is true; so it may be looked at after every example, and
stopping early costs no validity.

Not covered: means over all future examples (that is for test, opened once), metrics that are not means over examples.
"""

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import DataError

Floats = NDArray[np.float64]

SHARES = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])
"""The shares of the wealth that are bet. The best is about gap / variance of the differences: these cover gaps from
1 to 50 points."""


class Wealth:
    """The wealth of bets that strategy a is better than b by more than `bound`, for a population of n examples.

    Give `add` the differences in the order in which they are seen.
    """

    def __init__(self, bound: float, n: int) -> None:
        self._mean = (1 + bound) / 2
        self._n = n
        self._seen = 0
        self._sum = 0.0
        self._logs = np.zeros(SHARES.size)

    def add(self, differences: Floats) -> Floats:
        """Bet on further differences, each within -1 and 1; return the logarithm of the wealth after each."""
        if self._seen + differences.size > self._n or (differences.size and np.abs(differences).max() > 1 + 1e-9):
            raise DataError("Differences must lie within -1 and 1, and be no more than there are examples.")
        # values, left, expected (k,); logs (k, shares). `expected` is m, the mean that the hypothesis leaves.
        values = (differences + 1) / 2
        before = self._sum + np.concatenate([[0.0], np.cumsum(values)[:-1]]) if values.size else values
        left = self._n - self._seen - np.arange(values.size)
        expected = (self._n * self._mean - before) / left
        impossible = expected < -1e-12
        ratios = values / np.maximum(expected, 1e-9) - 1
        logs = self._logs + np.cumsum(np.log1p(SHARES * ratios[:, None]), axis=0)
        if values.size:
            self._logs, self._seen = logs[-1], self._seen + values.size
            self._sum += float(values.sum())
        path = np.logaddexp.reduce(logs, axis=1) - np.log(SHARES.size)
        # the hypothesis would need negative scores from the examples left: it is certainly false
        path[np.logical_or.accumulate(impossible)] = np.inf
        return np.asarray(path, dtype=np.float64)
