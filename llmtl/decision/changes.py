"""What would change the verdict or the choice, and what to know before trusting it, as values.

Not covered: the words for them (`llmtl.report.sentences`).
"""

from collections.abc import Collection, Iterable
from itertools import chain

from llmtl.decision.outcome import Caution, Choice, Failures, NoBaseline, TooSmallTest, Verdict
from llmtl.decision.outlook import (
    BreakEven,
    Change,
    EnoughForMargin,
    MoreExamples,
    MoreRequests,
    NarrowerMargin,
    Unconstrained,
    WiderMargin,
)
from llmtl.decision.ranking import Ranking
from llmtl.decision.settling import Settling
from llmtl.decision.verdict import Ruling
from llmtl.measured.evaluation import Evaluation

WIDE = 0.15
"""A minimum detectable difference above this earns a warning: no test that blunt can weigh the usual gaps."""
WIDEST_MARGIN = 0.10
"""Wider margins are not proposed: nobody gives up that much to save a little."""


def would_change(
    choice: Choice, ranking: Ranking, *, ruling: Ruling, settling: Settling, points: Collection[BreakEven]
) -> tuple[Change, ...]:
    """Return what would change the verdict or the choice: more labels, volume, margin, constraints.

    `points` are the break-even points.
    """
    comparable = {*choice.within_margin, *chain(*ruling.pairs)}
    crossing = [point for point in points if {point.cheaper_below, point.cheaper_above} <= comparable]
    found: list[Change] = [] if settling.more is None else [MoreExamples(settling.more, settling.chance)]
    found += [] if settling.for_margin is None else [EnoughForMargin(settling.for_margin)]
    found += map(MoreRequests, crossing)
    found += _wider(choice, ranking)
    found += _unconstrained(choice, ranking)
    if choice.strategy != choice.best_on_dev:
        gap = ranking.score(choice.best_on_dev) - ranking.score(choice.strategy)
        found.append(NarrowerMargin(gap, choice.strategy))
    return tuple(found)


def cautions(
    choice: Choice, verdict: Verdict, *, detectable: float, n: int, test: Iterable[Evaluation]
) -> tuple[Caution, ...]:
    """Return what a reader must know: a missing baseline, a test of `n` examples that is too small, failures."""
    blunt = detectable > WIDE and verdict in (Verdict.TIE, Verdict.INCONCLUSIVE)
    return (
        *([NoBaseline()] if choice.best_baseline is None else []),
        *([TooSmallTest(n, detectable)] if detectable >= 1 or blunt else []),
        *(Failures(item.strategy, item.failed, item.n) for item in test if item.failed),
    )


def _wider(choice: Choice, ranking: Ranking) -> list[Change]:
    """Return the wider margin at which dev would have chosen a cheaper strategy, if any is near."""
    out = {*choice.barred, *choice.within_margin}
    cheaper = [name for name in ranking.names() if name not in out and ranking.cheaper(name, choice.strategy)]
    nearest = ranking.best(cheaper)
    if nearest is None:
        return []
    gap = ranking.score(choice.best_on_dev) - ranking.score(nearest)
    return [] if gap > WIDEST_MARGIN else [WiderMargin(gap, nearest)]


def _unconstrained(choice: Choice, ranking: Ranking) -> list[Change]:
    """Return the best of those that the constraints bar, if it is better than the choice by more than the margin."""
    best = ranking.best(list(choice.barred))
    better = best is not None and ranking.score(best) > ranking.score(choice.strategy) + choice.margin
    return [Unconstrained(best)] if best is not None and better else []
