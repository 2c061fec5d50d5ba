"""Draw the mean losses of several systems on the same examples from their joint posterior.

The Bayesian bootstrap (Rubin 1981, "The Bayesian Bootstrap"): weights of the clusters of examples are Dirichlet, and
the same for all systems, so that a difference between two of them varies as little as it does on the same examples. A
sample in which nobody errs must not say that nobody ever will, so one more cluster of mean size is added whose answers
are unknown: a Dirichlet process (Ferguson 1973, "A Bayesian Analysis of Some Nonparametric Problems") of mass 1, under
which every system is right or wrong with even chances, independently. For losses of 0 and 1 of independent examples
that is Jeffreys' Beta(1/2, 1/2) for each system, and 1/4 for each of the four ways in which two of them are right or
wrong (Perks 1947, "Some Observations on Inverse Probability"). So the posterior mean of an error rate is
(errors + 1/2) / (n + 1).

A system that was trained or drawn several times has one row of losses each time, and the rows get Dirichlet weights,
independently of other systems (Owen 2007, "The pigeonhole bootstrap"), stretched as in `hierarchical`.

Not covered: metrics that are not means (`hierarchical`); the few degrees of freedom of few clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmtl.metrics.hierarchical import Floats, Integers, distinct_rows, summed

DRAWS = 2000
"""Draws: the ends of a 95% band then have a Monte Carlo error of about 3% of its half-width."""
_STICKS = 15
"""Pieces that the unknown cluster is broken into (Sethuraman 1994): what is left over weighs e^-15 of it."""
_CHUNK = 2_000_000
"""Weights drawn at once, 16 MB."""


def posterior_means(losses: Sequence[Floats], codes: Integers, *, worst: float = 1.0) -> Floats:
    """Compute the posterior mean loss of each of K systems, (K,).

    `losses` has (R, N) per system: R rows of the same N examples. `worst` is the loss of a wrong answer.
    """
    size = len(codes) / (int(codes.max()) + 1)
    sums = np.array([each.mean(axis=0).sum() for each in losses])
    return np.asarray((sums + size * worst / 2) / (len(codes) + size))


def posterior_draws(losses: Sequence[Floats], codes: Integers, *, worst: float = 1.0, draws: int = DRAWS) -> Floats:
    """Draw the mean losses of K systems together, (draws, K), given what `posterior_means` is given."""
    rng = np.random.default_rng(0)
    sums = [summed(each[:, :, None], codes)[:, :, 0] for each in losses]
    alike = _Clusters.of(sums, np.bincount(codes).astype(np.float64))
    width = len(alike.sizes) + _STICKS * len(losses)
    return np.concatenate([_drawn(alike, worst=worst, draws=size, rng=rng) for size in _chunks(draws, width)])


@dataclass(frozen=True)
class _Clusters:
    """Clusters that differ, and how many there are like each: `sums` (R, G) per system, `sizes` and `times` (G,).

    The weight of k clusters that are alike is a gamma variate of shape k; with labels, many examples make few of them.
    """

    sums: list[Floats]
    sizes: Floats
    times: Integers

    @classmethod
    def of(cls, sums: Sequence[Floats], sizes: Floats) -> "_Clusters":
        first, times = distinct_rows(np.concatenate([*sums, sizes[None]]).T)
        return cls([each[:, first] for each in sums], sizes[first], times)


def _drawn(clusters: _Clusters, *, worst: float, draws: int, rng: np.random.Generator) -> Floats:
    sums, sizes = clusters.sums, clusters.sizes
    weights = rng.standard_gamma(clusters.times, size=(draws, len(sizes)))
    unknown = rng.standard_exponential((draws, 1)) * np.average(sizes, weights=clusters.times)
    wrong = _unknown_answers(draws, len(sums), rng)
    known = np.stack([((weights @ each.T) * _row_weights(len(each), draws, rng)).sum(axis=1) for each in sums], axis=1)
    # stretched row weights can be negative, and a mean loss cannot
    return np.asarray(np.maximum(0.0, (known + unknown * worst * wrong) / (weights @ sizes[:, None] + unknown)))


def _unknown_answers(draws: int, systems: int, rng: np.random.Generator) -> Floats:
    """Draw the share of the unknown cluster that each system gets wrong, (draws, systems), by breaking a stick."""
    broken = rng.random((draws, _STICKS))
    left = np.cumprod(np.concatenate([np.ones((draws, 1)), 1 - broken[:, :-1]], axis=1), axis=1)
    pieces = broken * left
    wrong = rng.random((draws, _STICKS, systems)) < 0.5
    return np.asarray(np.einsum("ds,dsk->dk", pieces, wrong) / pieces.sum(axis=1, keepdims=True))


def _row_weights(rows: int, draws: int, rng: np.random.Generator) -> Floats:
    """Draw weights of the rows of one system, each line summing to 1."""
    if rows == 1:
        return np.ones((draws, 1))
    drawn = rng.dirichlet(np.ones(rows), size=draws)
    return np.asarray(1 / rows + np.sqrt((rows + 1) / (rows - 1)) * (drawn - 1 / rows), dtype=np.float64)


def _chunks(draws: int, width: int) -> list[int]:
    size = max(1, min(draws, _CHUNK // max(1, width)))
    return [min(size, draws - start) for start in range(0, draws, size)]
