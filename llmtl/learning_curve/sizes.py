"""Choose the sizes of the subsets of train. Not covered: drawing nested subsets (`llmtl.data.subsample`)."""

import math

SMALLEST_SHARE = 1 / 16
"""The smallest subset, as a share of the whole: curves over fewer doublings cannot tell a slope from noise."""
PER_LABEL = 2
"""Fewest examples per label in the smallest subset: below this, a curve is in its "small data region", where a power
law does not hold yet (Hestness et al. 2017, "Deep Learning Scaling is Predictable, Empirically")."""
FEWEST = 10
LEAST_GROWTH = 1.25
"""Sizes closer than this count as one: their scores differ only by noise."""


def subset_sizes(available: int, *, points: int, labels: int) -> tuple[int, ...]:
    """Choose at most `points` growing sizes, evenly spaced on a logarithmic scale; the last one is `available`."""
    smallest = max(FEWEST, PER_LABEL * labels, math.ceil(SMALLEST_SHARE * available))
    room = math.log(available / smallest) / math.log(LEAST_GROWTH) if smallest < available else 0.0
    points = min(points, 1 + int(room))
    if points == 1:
        return (available,)
    step = (available / smallest) ** (1 / (points - 1))
    return tuple(sorted({round(smallest * step**index) for index in range(points - 1)} | {available}))
