"""Bound a share of items such as micro-F1, whose examples hold several items each: a Wilson interval of the items.

Micro-F1 is a ratio of sums. Its variance over the examples (linearised: Cochran 1977, "Sampling Techniques", section
6.4) over that of independent items is the design effect (Kish 1965, "Survey Sampling", section 8.2), and items /
design effect is what Wilson's interval takes for its number of trials. Such intervals keep their level for clustered
shares near 0 and 1, where others do not: Dean & Pagano (2015), "Evaluating Confidence Interval Methods for Binomial
Proportions in Clustered Surveys"; Franco et al. (2019), "Comparative Study of Confidence Intervals for Proportions in
Complex Sample Surveys". Two things are added:

- Near 0 the variance rests on the few examples with a hit, near 1 on those with an error, and is known badly: the
  quantile is Student's t with the degrees of freedom of a variance of values of that kurtosis (Valliant & Rust 2010,
  "Degrees of Freedom Approximations and Rules-of-Thumb").
- Without any hit, or any error, there is no variance. So it is computed with a prior: half an item found and half an
  item missed (Jeffreys'), worth `PRIOR_DEGREES` (Smyth 2004, "Linear Models and Empirical Bayes Methods", section 3).
  They do not move the interval: as whole examples, like the pseudo-examples of `hierarchical`, they pulled micro-F1
  near 0 upward.

What these intervals hold: `evals/verdicts/coverage_micro.py`. Not covered: averages over labels, differences
(`summed`).
"""

import numpy as np
from scipy.special import stdtrit

from llmtl.metrics.hierarchical import Floats, Value, satterthwaite, seed_variance
from llmtl.metrics.intervals import Interval, wilson_ends

PRIOR_DEGREES = 3
"""The fewest with which the interval of 50 examples without a hit ends no higher, but for 1%, than with one hit."""
_HALF = 0.5


def interval_of_items(value: Value, clusters: Floats, item: Floats) -> Interval:
    """Bound the mean over R seeds of a ratio of sums, from counts (R, G, 2) of at least two independent clusters.

    `item` is the counts of one item found, [hits, size], times the number of items that one independent one is worth.
    """
    totals = clusters.sum(axis=1)
    score = float(value(totals).mean())
    units = np.stack([item, item * (0.0, 1.0)])
    padded = totals + _HALF * units.sum(axis=0)
    centres = value(padded)
    apart, further = (_contributions(rows, item, centres, padded) for rows in (clusters, units[None]))
    groups = len(apart)
    second = float((apart**2).sum() + _HALF * (further**2).sum())
    fourth = float((apart**4).sum() + _HALF * (further**4).sum())
    degrees = min(groups - 1, PRIOR_DEGREES + 2 / max(fourth / second**2 - 1 / (groups + 1), 1e-9))
    over_clusters = second * groups / (groups - 1)
    over_seeds = seed_variance(value, clusters) if len(clusters) > 1 else 0.0
    centre, size = float(centres.mean()), float(item[1] / item[0])
    items = float(totals[:, 1].mean()) / size
    independent = centre * (1 - centre) / (float(padded[:, 1].mean()) / size)
    design_effect = (over_clusters + over_seeds) / independent
    degrees = satterthwaite([(over_clusters, degrees), (over_seeds, len(clusters) - 1)])
    low, high = wilson_ends(score, items / design_effect, z=float(stdtrit(degrees, 0.975)))
    return Interval(score, low, high)


def _contributions(rows: Floats, item: Floats, centres: Floats, totals: Floats) -> Floats:
    """Compute by how much each of (R, G, 2) moves the ratio, a mean over the seeds: (G,)."""
    moved = rows[..., 0] * item[1] / item[0] - centres[:, None] * rows[..., 1]
    return np.asarray((moved / totals[:, 1:]).mean(axis=0), dtype=np.float64)
