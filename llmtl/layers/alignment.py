"""How alike two sets of states of the same texts are: linear CKA, unbiased, in mini-batches.

Kornblith et al. (2019), "Similarity of Neural Network Representations Revisited", arXiv:1905.00414; averaged over
mini-batches by the unbiased estimator of HSIC (Song et al. 2012, "Feature Selection via Dependence Maximization"), as
in Nguyen, Raghu & Kornblith (2021), "Do Wide and Deep Networks Learn the Same Things?", arXiv:2010.15327. 1 for states
that differ by a rotation and a scale, about 0 for unrelated ones; a little below 0 is possible.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 4
"""Texts of a mini-batch below which the unbiased estimator is not defined."""
BATCH = 256


def linear_cka(one: NDArray[np.floating], other: NDArray[np.floating], *, batch: int = BATCH) -> float:
    """Compare the states of N texts, (N, D) and (N, D'); raises `ValueError` for fewer than 4 texts.

    Batches are of equal size, up to one text. Returns 0 where one set of states does not vary.
    """
    n = len(one)
    if n != len(other) or n < FEWEST:
        raise ValueError(f"linear_cka needs the states of the same texts, at least {FEWEST}; got {n} and {len(other)}.")
    parts = np.array_split(np.arange(n), max(1, min(-(-n // batch), n // FEWEST)))
    sums = np.zeros(3)
    for part in parts:
        first, second = (_kernel(np.asarray(each[part], np.float64)) for each in (one, other))
        sums += (_hsic(first, second), _hsic(first, first), _hsic(second, second))
    if sums[1] <= 0 or sums[2] <= 0:
        return 0.0
    return float(sums[0] / np.sqrt(sums[1] * sums[2]))


def _kernel(states: Floats) -> Floats:
    """Make the linear kernel, (B, B), with nothing on its diagonal, of centred states: the estimate does not change."""
    centred = states - states.mean(axis=0)
    found: Floats = centred @ centred.T
    np.fill_diagonal(found, 0.0)
    return found


def _hsic(one: Floats, other: Floats) -> float:
    """Estimate HSIC without bias (Song et al. 2012, equation 5; kernels have nothing on their diagonals)."""
    n = len(one)
    trace = float((one * other).sum())
    sums = float(one.sum()) * float(other.sum()) / ((n - 1) * (n - 2))
    cross = 2 * float(one.sum(axis=0) @ other.sum(axis=1)) / (n - 2)
    return (trace + sums - cross) / (n * (n - 3))
