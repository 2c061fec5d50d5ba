"""Which share of inputs a test is expected to confirm that can be left to a strategy, as draws of what is believed.

Examples are weighted by the Bayesian bootstrap (Rubin 1981), the same weights for all strategies. Each draw is one
possible truth: at every threshold of a strategy it has a share q that is answered and a share e of these that is wrong,
to which half a right and half a wrong answer are added (Jeffreys' prior, as in `selective`). A test of n examples
confirms a threshold with the chance that a binomial number of errors, of n q with probability e, is as low as the exact
test asks; it climbs from strict to lenient thresholds, so the chance of having come as far is at most the smallest up
to there. The expected share adds up each threshold's further share by that chance, as `selective.expected_share` does.

It is a smooth function of the truth, unlike the share that one test confirmed: that jumps by a whole step, or to
nothing, for a single error more, and two equal strategies seldom get as far on the same test.

Not covered: fixing the thresholds and confirming them (`selective`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from llmtl.metrics.hierarchical import Floats, distinct_rows, summed
from llmtl.metrics.selective import Integers, Marked, TestAhead, most_errors

_CELLS = 4_000_000
"""Weights that are drawn at once, 32 MB of them."""


@dataclass(frozen=True)
class Shared:
    """Examples that several strategies answered: what each of their clusters weighs, by the number of its examples."""

    codes: Integers

    @property
    def sizes(self) -> Floats:
        """The number of examples of each cluster, (G,)."""
        return np.asarray(np.bincount(self.codes), dtype=np.float64)

    @property
    def effect(self) -> float:
        """The design effect of the clusters if all of one are alike (Kish 1965)."""
        return float((self.sizes**2).sum() / self.sizes.sum())


def by_threshold(answers: Marked, thresholds: Sequence[float]) -> Floats:
    """Count the right and the wrong answers of each cluster by the first threshold that lets them through, (G, 2 T).

    Thresholds go from strict to lenient; what none lets through is not counted.
    """
    number = len(thresholds)
    strict = np.asarray(thresholds, dtype=float)
    first = (answers.confidence[:, None] < strict).sum(axis=1)
    counted = np.isfinite(answers.confidence) & (first < number)
    rows = np.zeros((answers.n, 2 * number))
    column = first + np.where(answers.right, 0, number)
    rows[np.flatnonzero(counted), column[counted]] = 1.0
    return np.asarray(summed(rows[None], answers.codes)[0], dtype=np.float64)


def draw_shares(
    systems: Sequence[Sequence[Floats]], shared: Shared, ahead: TestAhead, *, draws: int, rng: np.random.Generator
) -> list[Floats]:
    """Draw the expected shares of K systems, (R, D) each for R rows (trainings, say) of counts by threshold."""
    sizes = shared.sizes
    first, times = distinct_rows(np.concatenate([sizes[:, None], *(row for rows in systems for row in rows)], axis=1))
    most = most_errors(ahead)
    found: list[list[list[Floats]]] = [[[] for _ in rows] for rows in systems]
    for size in _parts(draws, len(times)):
        weights = rng.standard_gamma(times, (size, len(times)))
        total = weights @ sizes[first]
        for place, rows in enumerate(systems):
            for number, row in enumerate(rows):
                sums = weights @ row[first]
                prior = shared.effect * rng.standard_gamma(0.5, (2, size, 1))
                found[place][number].append(_expected(sums, total, prior, most, ahead, shared.effect))
    return [np.stack([np.concatenate(parts) for parts in rows]) for rows in found]


def _expected(sums: Floats, total: Floats, prior: Floats, most: Integers, ahead: TestAhead, effect: float) -> Floats:
    """Compute the expected share of each of D truths, (D,), from weighted counts (D, 2 T)."""
    number = sums.shape[1] // 2
    if not number:
        return np.zeros(len(sums))
    right, wrong = (np.cumsum(part, axis=1) for part in (sums[:, :number], sums[:, number:]))
    share = (right + wrong) / total[:, None]
    error = (wrong + prior[0]) / (right + wrong + prior.sum(axis=0))
    answers = np.rint(ahead.n * share / effect).astype(np.int64).clip(0, ahead.n)
    allowed = most[answers]
    chance = np.where(allowed < 0, 0.0, bdtr(np.maximum(allowed, 0), np.maximum(answers, 1), error))
    further = np.diff(share, axis=1, prepend=0.0)
    return np.asarray((further * np.minimum.accumulate(chance, axis=1)).sum(axis=1), dtype=np.float64)


def _parts(draws: int, width: int) -> Iterator[int]:
    size = max(1, _CELLS // max(1, width))
    for start in range(0, draws, size):
        yield min(size, draws - start)
