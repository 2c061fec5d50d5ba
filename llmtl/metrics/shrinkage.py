"""Hold small differences between strategies for more likely than large ones: shrink them as far as they may be chance.

The true scores of strategies come from one normal distribution, whose standard deviation t is not known either: a
half-Cauchy, its scale the standard error of the measurements (Gelman 2006, "Prior Distributions for Variance Parameters
in Hierarchical Models"; Polson & Scott 2012, "On the Half-Cauchy Prior for a Global Scale Parameter"). What is kept of
a difference, t^2 / (t^2 + error^2), is then a Beta(1/2, 1/2) beforehand: most likely nearly nothing, since strategies
are as good as each other, or nearly all, since they are not (the horseshoe: Carvalho, Polson & Scott 2010, "The
Horseshoe Estimator for Sparse Signals"). There is no constant to set. Differences of many standard errors stay what
they are; among many strategies that differ by no more than chance, the one that leads by luck is pulled back to the
others.

The level that they share has a flat prior. Errors are taken as normal, together with their correlations.

Not covered: groups of strategies that are alike among others that are not.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import helmert
from scipy.special import exp1

Floats = NDArray[np.float64]
_NODES = 200
SPREADS = np.tan(np.pi / 2 * (np.arange(_NODES) + 0.5) / _NODES)
"""The half-Cauchy distribution of t / error, as points of equal probability."""


def shrunk(draws: Floats, rng: np.random.Generator) -> Floats:
    """Turn draws (D, K) around the scores of K strategies, as they were measured, into draws from the posterior.

    Between strategies that are the same in every draw nothing changes.
    """
    if draws.shape[1] < 2:
        return draws
    contrasts = helmert(draws.shape[1])  # orthonormal, so that the prior has variance t^2 in every direction
    moved = draws @ contrasts.T
    errors, directions = np.linalg.eigh(np.atleast_2d(np.cov(moved, rowvar=False)))
    uncertain = errors > 1e-9 * draws.var(axis=0).max()
    errors, directions = errors[uncertain], directions[:, uncertain]
    if not len(errors):
        return draws
    along = moved @ directions
    between = errors.mean() * SPREADS[:, None] ** 2
    total = between + errors
    evidence = -0.5 * (np.log(total) + along.mean(axis=0) ** 2 / total).sum(axis=1)
    likely = np.exp(evidence - evidence.max())
    kept = (between / total)[rng.choice(_NODES, size=len(draws), p=likely / likely.sum())]
    posterior = kept * along + np.sqrt(kept * (1 - kept) * errors) * rng.standard_normal(along.shape)
    return np.asarray(draws + (posterior - along) @ directions.T @ contrasts, dtype=np.float64)


def density(differences: Floats, error: float) -> Floats:
    """Compute the prior density of differences between two strategies, measured with this standard error.

    It is the horseshoe (Carvalho, Polson & Scott 2010); far out, where exp overflows, its limit. The pole at 0 is cut.
    """
    x = np.maximum((differences / error) ** 2 / 2, 1e-12)
    near = np.minimum(x, 500)
    return np.asarray(np.where(x < 500, np.exp(near) * exp1(near), 1 / x) / (error * np.sqrt(2 * np.pi**3)))


def spreads_given(difference: float, error: float) -> Floats:
    """Compute how likely each of `SPREADS` is, given a difference between two strategies and its standard error."""
    total = 1 + SPREADS**2
    likely = np.exp(-0.5 * (difference / error) ** 2 / total) / np.sqrt(total)
    return np.asarray(likely / likely.sum(), dtype=np.float64)
