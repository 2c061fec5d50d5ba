"""How large the subsets of train are. Not covered: drawing them (`llmtl.data.subsample`, nested by construction)."""

import math

SMALLEST_SHARE = 1 / 16
"""The smallest subset beside the whole: curves over less than a few doublings cannot tell a slope from noise."""
PER_LABEL = 2
"""Fewest examples a label in the smallest subset: below, a curve is in its "small data region", where a power law
does not hold yet (Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically")."""
FEWEST = 10
LEAST_GROWTH = 1.25
"""Sizes closer than this are one size: their scores differ by noise alone."""


def subset_sizes(available: int, *, points: int, labels: int) -> tuple[int, ...]:
    """Return at most `points` sizes, evenly spaced on a logarithmic scale and growing, the last one `available`."""
    smallest = max(FEWEST, PER_LABEL * labels, math.ceil(SMALLEST_SHARE * available))
    room = math.log(available / smallest) / math.log(LEAST_GROWTH) if smallest < available else 0.0
    points = min(points, 1 + int(room))
    if points == 1:
        return (available,)
    step = (available / smallest) ** (1 / (points - 1))
    return tuple(sorted({round(smallest * step**index) for index in range(points - 1)} | {available}))
