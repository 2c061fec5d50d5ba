"""Estimate how much a chosen strategy's score flatters it on the examples that it was chosen on (winner's curse).

The choice is repeated on bootstrap samples of those examples (of their groups), and what it picks is scored on the
examples that the sample left out; the optimism is the chosen strategy's score minus the mean of those: Tsamardinos,
Greasidou & Borboudakis (2018), "Bootstrapping the out-of-sample predictions for efficient and accurate cross-
validation", Machine Learning 107 (BBC-CV). For every strategy we subtract the difference between its score on all
examples and its mean out-of-sample score: that is the bias of metrics that are ratios, and otherwise chance.

The same is done within a strategy for the search that found it on those examples: prompts, points of a grid.

Not covered: the optimism of what is tuned while fitting (early stopping, thresholds, calibration).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from llmtl.metrics.hierarchical import Floats, Integers, Value, summed

RESAMPLES = 200
"""Resamples of the choice; few are enough, since the effect of chance on each strategy alone is subtracted."""


def of_search(value: Value, counts: Sequence[Floats], codes: Integers) -> float | None:
    """Estimate how much the best of several candidates, each with counts (N, S), flatters itself by being the best.

    The first of equals is taken; 0 where there was nothing to choose.
    """
    if len(counts) == 1:
        return 0.0
    return optimism(value, np.stack(counts), codes, pick=lambda scores: int(np.argmax(scores)))


def optimism(
    value: Value,
    counts: Floats,
    codes: Integers,
    *,
    pick: Callable[[NDArray[np.float64]], int],
    seed: int = 0,
) -> float | None:
    """Estimate how much the picked strategy's score exceeds its true one; None for a single group of examples.

    `counts` is (K, N, S) for K strategies, `codes` the group of each example, and `pick` turns K scores into the
    position of the chosen one.
    """
    sums = summed(counts, codes)
    groups = sums.shape[1]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, groups, (RESAMPLES, groups))
    weights = np.zeros((RESAMPLES, groups))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    weights = weights[(weights == 0).any(axis=1)]  # a sample that leaves nothing out has no out-of-sample score
    if groups < 2 or not len(weights):
        return None
    whole = value(sums.sum(axis=1))
    inside = np.stack([value(weights @ rows) for rows in sums], axis=1)
    outside = np.stack([value((weights == 0).astype(np.float64) @ rows) for rows in sums], axis=1)
    outside += whole - outside.mean(axis=0)
    picked = np.array([pick(scores) for scores in inside])
    return float(whole[pick(whole)] - outside[np.arange(len(picked)), picked].mean())
