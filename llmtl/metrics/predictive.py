"""Compute the chance that further examples settle a difference, given the examples seen so far.

A plan for n + N examples that takes the observed difference for the true one promises too much: among differences that
are still open, the observed one is as likely too large as too small. So the true difference is drawn from its posterior
given what was seen, further examples from it, and the test is made of all of them together: Spiegelhalter, Freedman &
Blackburn (1986), "Monitoring clinical trials: conditional or predictive power?".

The prior is that of `shrinkage`, by which small differences are the rule. A flat one tells too much, since where a
result is open most differences are small (`evals/verdicts/coverage_together.py`).

A difference is settled when it is shown, in either direction, at `alpha`, or shown not to exceed `margin` by a
one-sided 95% bound. Not covered: how many further examples a power needs (`power`).
"""

import numpy as np
from scipy.special import bdtr, ndtr, ndtri

from llmtl.metrics.intervals import Z_ONE_SIDED, tango_scores
from llmtl.metrics.shrinkage import SPREADS, density, spreads_given

DRAWS = 4000
"""Draws behind a chance; its standard error is then at most 0.8 points."""


def chance_by_counts(only_a: int, only_b: int, n: int, *, further: int, margin: float, alpha: float) -> float:
    """Estimate the chance that `further` examples settle a - b by the exact McNemar test and Tango's bound.

    `only_a` and `only_b` of n examples were right by one of the two alone. The posterior of the four outcomes of a pair
    is Dirichlet with Jeffreys' prior of 1/2 each, times the prior of their difference as weights of the draws; the two
    on which both agree count as one here.
    """
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([only_a + 0.5, only_b + 0.5, n - only_a - only_b + 1.0], size=DRAWS)
    drawn = rng.multinomial(further, shares)
    wins, losses = only_a + drawn[:, 0], only_b + drawn[:, 1]
    shown = 2 * bdtr(np.minimum(wins, losses), wins + losses, 0.5) <= alpha
    ruled_out = tango_scores(margin, wins, losses, n=n + further) <= -Z_ONE_SIDED
    differences = shares[:, 0] - shares[:, 1]
    return float(np.average(shown | ruled_out, weights=density(differences, float(differences.std()))))


def chance_by_error(
    difference: float,
    n: int,
    *,
    standard_error: float,
    further: int,
    margin: float,
    alpha: float,
    lasting_error: float = 0.0,
) -> float:
    """Compute the chance that `further` examples settle a difference, from its standard error on n examples.

    Normal approximation, for any metric. `lasting_error` is the part of the standard error that further examples do not
    make smaller. Given what was seen, the difference on all n + N examples is normal around the one seen so far, moved
    by N of n + N examples towards what the prior leaves of it; over how much that is the mean is taken.
    """
    sampling = max(0.0, standard_error**2 - lasting_error**2)
    new = further / (n + further)
    error = float(np.sqrt(sampling * (1 - new) + lasting_error**2))
    z = float(ndtri(1 - alpha / 2))
    better, not_worth_more = z * error, max(-z * error, margin - Z_ONE_SIDED * error)
    if sampling * further == 0:
        return float(difference >= better or difference <= not_worth_more)
    if better <= not_worth_more:
        return 1.0
    between = (SPREADS * standard_error) ** 2 + lasting_error**2
    kept = between / (between + sampling)
    center = difference * (1 - new * (1 - kept))
    spread = np.sqrt(sampling * new * (1 - new * (1 - kept)))
    chances = ndtr((center - better) / spread) + ndtr((not_worth_more - center) / spread)
    return float(chances @ spreads_given(difference, standard_error))
