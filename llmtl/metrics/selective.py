"""Answer only when sure: how many inputs a confidence lets through, how often those are wrong, and what can be shown.

Dev fixes a ladder of thresholds, from strict to lenient; test climbs it. At each rung the null hypothesis "the error
among the answered is above the limit" is tested with the exact binomial test; the climb ends at the first rung that is
not rejected, and the last one before it stands. Because the rungs and their order come from other examples, the chance
that the last one is truly above the limit is at most the level, however many rungs there are: fixed-sequence testing
within "Learn then Test" (Angelopoulos, Bates, Candes, Jordan & Lei 2021, section 3.2).

The first rung decides: where it fails, nothing is shown. It is the one that dev makes likeliest to pass, by the
beta-binomial prediction of the errors on test with Jeffreys' prior. The ladder ends where that chance falls below
`LEAST_CHANCE`.

Examples that come in groups count for as many as they are worth: the counts are divided by the design effect, and
stretched for few groups (Korn & Graubard 1998, "Confidence Intervals for Proportions with Small Expected Number of
Positive Counts Estimated from Survey Data"). That is not exact, unlike the rest.

Not covered: what confidence a prediction has (`llmtl.decision.automation`), calibration (`calibration`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, betainc, betaincinv, betaln, gammaln, stdtrit

from llmtl.metrics.hierarchical import cluster_codes
from llmtl.metrics.intervals import Interval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]

RUNGS = 20
"""Thresholds of a ladder at most. In the worlds of `evals/verdicts/selective.py` 10 and 50 let through as much."""
_ERRORS_AT_ONCE = 64
LEAST_CHANCE = 0.05
"""The smallest predicted chance of passing for which a threshold is tried."""


@dataclass(frozen=True)
class Marked:
    """Examples with a confidence (-inf for a failed prediction, which is never let through), and whether each is right.

    `codes` number the groups; every example has its own where they come without.
    """

    confidence: Floats
    right: Bools
    codes: Integers

    @classmethod
    def of(
        cls, confidence: Sequence[float] | Floats, right: Sequence[bool] | Bools, groups: Sequence[str | None] = ()
    ) -> "Marked":
        """Make it from sequences of one length."""
        codes = cluster_codes(groups, len(right))
        return cls(np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool), codes)

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.right)

    def let_through(self, threshold: float) -> Bools:
        """Mark the answers that are at least as sure as the threshold, (N,)."""
        return np.asarray(np.isfinite(self.confidence) & (self.confidence >= threshold))


@dataclass(frozen=True)
class Count:
    """How many of `n` examples are hits, and `effective_n`, how many independent ones they are worth."""

    hits: int
    n: int
    effective_n: float

    @property
    def share(self) -> float:
        """The share of hits, 0 of none."""
        return self.hits / self.n if self.n else 0.0

    def chance_of_fewer(self, limit: float) -> float:
        """Compute the exact chance of so few hits if their true share is `limit`: the p-value of "above the limit"."""
        if self.effective_n <= 0:
            return 1.0
        hits = self.share * self.effective_n
        if hits >= self.effective_n:
            return 1.0
        return float(betainc(self.effective_n - hits, hits + 1, 1 - limit))

    def at_most(self, level: float) -> float:
        """Compute the upper bound that holds with confidence 1 - level (Clopper & Pearson 1934)."""
        hits = self.share * self.effective_n
        if self.effective_n <= 0 or hits >= self.effective_n:
            return 1.0
        return float(betaincinv(hits + 1, self.effective_n - hits, 1 - level))

    def interval(self) -> Interval:
        """Compute the two-sided 95% interval of Clopper & Pearson (1934)."""
        hits = self.share * self.effective_n
        low = 0.0 if hits <= 0 else float(betaincinv(hits, self.effective_n - hits + 1, 0.025))
        return Interval(self.share, low, self.at_most(0.025))


def errors_among(marked: Marked, threshold: float) -> Count:
    """Count the errors among those let through."""
    chosen = marked.let_through(threshold)
    return _count(~marked.right[chosen], marked.codes[chosen])


def answered(marked: Marked, threshold: float) -> Count:
    """Count those let through."""
    return _count(marked.let_through(threshold), marked.codes)


def fewest_to_show(limit: float, level: float) -> int:
    """Count how many answers without any error it takes to show an error of at most `limit`."""
    return int(np.ceil(np.log(level) / np.log1p(-limit) - 1e-9))


def risk_curve(marked: Marked, *, most: int = 100) -> list[tuple[float, float]]:
    """Compute the share let through and the share of errors among them, at up to `most` thresholds, strict first."""
    order = np.argsort(-marked.confidence, kind="stable")
    order = order[np.isfinite(marked.confidence[order])]
    if not len(order):
        return []
    confidence, errors = marked.confidence[order], np.cumsum(~marked.right[order])
    ends = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True))
    ends = ends[np.unique(np.linspace(0, len(ends) - 1, most).round().astype(int))]
    return [(float((end + 1) / marked.n), float(errors[end] / (end + 1))) for end in ends]


@dataclass(frozen=True)
class TestAhead:
    """A test of `n` examples that asks for at most `limit` of errors at this level."""

    __test__ = False  # pytest must not collect it

    n: int
    limit: float
    level: float


@lru_cache(maxsize=64)
def most_errors(ahead: TestAhead) -> Integers:
    """Find the most errors of 0 to n answers that still show the limit, (n + 1,); -1 where none do."""
    answers = np.arange(ahead.n + 1)
    most = np.full(len(answers), -1)
    for start in range(0, int(ahead.n * ahead.limit) + 2, _ERRORS_AT_ONCE):
        errors = np.arange(start, start + _ERRORS_AT_ONCE)
        shown = (bdtr(errors, answers[:, None], ahead.limit) <= ahead.level) & (errors < answers[:, None])
        most += shown.sum(axis=1)
        if not shown[:, -1].any():
            break
    return most


@dataclass(frozen=True)
class Rung:
    """A threshold to try, the share of dev that it lets through, and the predicted chance that test shows the limit."""

    threshold: float
    share: float
    chance: float


def build_ladder(
    dev: Marked, n_test: int, *, limit: float, level: float, all_or_none: bool = False
) -> tuple[Rung, ...]:
    """Fix the thresholds to try on `n_test` examples, strict to lenient; none where no threshold has a chance.

    A threshold lies halfway between two confidences on dev; 0 lets everything through that was answered, and is the
    only one to try with `all_or_none`.
    """
    order = np.argsort(-dev.confidence, kind="stable")
    order = order[np.isfinite(dev.confidence[order])]
    confidence, errors = dev.confidence[order], np.cumsum(~dev.right[order])
    ends = np.flatnonzero(np.append(confidence[1:] != confidence[:-1], True)) if len(order) else np.array([], int)
    own = confidence[ends]
    thresholds = np.append((own[:-1] + own[1:]) / 2, 0.0)
    effect = _design_effect(np.bincount(dev.codes))
    answers = np.rint(n_test * (ends + 1) / dev.n / effect).astype(np.int64)
    chances = _chances(errors[ends] / effect, (ends + 1) / effect, answers, TestAhead(n_test, limit, level))
    if all_or_none:
        chances[:-1] = 0.0
    if chances.max(initial=0.0) < LEAST_CHANCE:
        return ()
    start = int(np.argmax(chances))
    rungs = [index for index in range(start, len(ends)) if chances[index] >= LEAST_CHANCE]
    picked = np.unique(np.linspace(0, len(rungs) - 1, RUNGS).round().astype(int))
    return tuple(
        Rung(float(thresholds[rung]), float((ends[rung] + 1) / dev.n), float(chances[rung]))
        for rung in (rungs[index] for index in picked)
    )


def expected_share(ladder: Sequence[Rung]) -> float:
    """Predict the share that test will show: each rung's further share, by the smallest chance up to it."""
    found, share, chance = 0.0, 0.0, 1.0
    for rung in ladder:
        chance = min(chance, rung.chance)
        found += (rung.share - share) * chance
        share = rung.share
    return found


def climb(thresholds: Sequence[float], test: Marked, *, limit: float, level: float) -> float | None:
    """Return the most lenient threshold that test shows to hold the limit; None where the first one is not shown."""
    reached = None
    for threshold in thresholds:
        if errors_among(test, threshold).chance_of_fewer(limit) > level:
            break
        reached = threshold
    return reached


@dataclass(frozen=True)
class Separation:
    """The chance that one of the first kind has more confidence than one of the second, and a one-sided p-value.

    0.5 is what a confidence without any information has; `p` tests that.
    """

    auroc: float
    p: float


def separation(more: Floats, less: Floats) -> Separation | None:
    """Compare two samples of confidences; None where one of them is empty.

    The area under the ROC curve is the Mann-Whitney statistic over the number of pairs (Hanley & McNeil 1982).
    """
    if not len(more) or not len(less):
        return None
    # scipy.stats is slow to import, and most of llmtl never asks for it
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(more, less, alternative="greater")
    return Separation(float(found.statistic / (len(more) * len(less))), float(found.pvalue))


def _chances(errors: Floats, n: Floats, answers: Integers, ahead: TestAhead) -> Floats:
    """Predict the chance of each threshold that so many more answers show the limit, after `errors` in `n`, (T,)."""
    most = most_errors(ahead)[answers.clip(0, ahead.n)]
    a, b = (errors + 0.5)[:, None], (n - errors + 0.5)[:, None]
    k, more = np.arange(most.max(initial=-1) + 1), answers[:, None]
    right = np.maximum(more - k, 0)
    ways = gammaln(more + 1) - gammaln(k + 1) - gammaln(right + 1)
    chances = np.exp(ways + betaln(k + a, right + b) - betaln(a, b))
    return np.asarray(np.where(k <= most[:, None], chances, 0.0).sum(axis=1), dtype=np.float64)


def _count(hits: Bools, codes: Integers) -> Count:
    n = len(hits)
    sizes = np.unique(codes, return_counts=True)[1]
    if len(sizes) == n:
        return Count(int(hits.sum()), n, float(n))
    return Count(int(hits.sum()), n, _effective(hits, codes))


def _effective(hits: Bools, codes: Integers) -> float:
    """Say how many independent examples are worth as much as these, which come in groups."""
    groups, place, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    n, count, share = len(hits), len(groups), float(hits.mean())
    if count < 2:
        return 0.0
    effect = _design_effect(sizes)
    if 0 < share < 1:
        residuals = np.bincount(place, weights=hits - share)
        between = count / (count - 1) * float((residuals**2).sum()) / n**2
        effect = min(max(1.0, between / (share * (1 - share) / n)), n)
    # fewer degrees of freedom than examples: the same stretch as t has over a normal quantile
    stretch = float(stdtrit(n - 1, 0.95) / stdtrit(count - 1, 0.95))
    return float(n / effect * stretch**2)


def _design_effect(sizes: Integers) -> float:
    """Compute by how much groups of these sizes inflate a variance if all of a group are alike (Kish 1965)."""
    return float((sizes.astype(float) ** 2).sum() / sizes.sum())
