"""What would change the verdict or the choice, and what to know before trusting it, as values.

Not covered: the words for them (`llmtl.report.sentences`).
"""

from collections.abc import Collection, Iterable
from itertools import chain

from llmtl.decision.beliefs import Beliefs, believe, least
from llmtl.decision.config import Goal
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
MARGIN_STEP = 0.005
"""How finely other margins are tried."""


def would_change(
    choice: Choice,
    ranking: Ranking,
    *,
    ruling: Ruling,
    settling: Settling,
    points: Collection[BreakEven],
    seed: int,
) -> tuple[Change, ...]:
    """List what would change the verdict or the choice: more labels, volume, margin, constraints.

    `points` are the break-even points, `seed` is that of the beliefs that the choice rests on.
    """
    comparable = {*choice.within_margin, *chain(*ruling.pairs)}
    crossing = [
        point
        for point in points
        if {point.cheaper_below, point.cheaper_above} <= comparable
        # at the expected volume, costs within noise of each other are the same: neither is called cheaper
        and (
            ranking.surely_cheaper(point.cheaper_below, point.cheaper_above)
            or ranking.surely_cheaper(point.cheaper_above, point.cheaper_below)
        )
    ]
    found: list[Change] = [] if settling.more is None else [MoreExamples(settling.more, settling.chance)]
    found += [] if settling.for_margin is None else [EnoughForMargin(settling.for_margin)]
    found += map(MoreRequests, crossing)
    # a choice of before was not made by expected regret, and another goal has beliefs of its own
    if choice.strategy in choice.expected_regret and choice.goal is Goal.SCORE:
        known = [name for name in ranking.names() if name in choice.expected_regret]
        known += [item.strategy for item in choice.dropped]
        found += other_margins(choice, ranking, believe([ranking[name] for name in known], ranking.metric, seed=seed))
    found += _unconstrained(choice, ranking)
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


def other_margins(choice: Choice, ranking: Ranking, beliefs: Beliefs) -> list[Change]:
    """Find the nearest margins, in steps of `MARGIN_STEP`, at which dev would have chosen another strategy."""
    eligible = [name for name in beliefs.names if name in choice.expected_regret]

    def chosen(margin: float) -> str:
        return ranking.cheapest(least(beliefs.expected_regrets(ranking.cheaper, margin), eligible))

    steps = round(WIDEST_MARGIN / MARGIN_STEP)
    margins = [MARGIN_STEP * step for step in range(steps + 1)]
    wider = ((margin, chosen(margin)) for margin in margins if margin > choice.margin)
    found: list[Change] = []
    found += [WiderMargin(margin, name) for margin, name in wider if name != choice.strategy][:1]
    narrower = ((margin, chosen(margin)) for margin in reversed(margins) if margin < choice.margin)
    first = next((margin for margin, name in narrower if name != choice.strategy), None)
    if first is not None:
        found.append(NarrowerMargin(first, choice.strategy))
    return found


def _unconstrained(choice: Choice, ranking: Ranking) -> list[Change]:
    """Return the best of those that the constraints bar, if it is better than the choice by more than the margin."""
    best = ranking.best(list(choice.barred))
    better = best is not None and ranking.score(best) > ranking.score(choice.strategy) + choice.margin
    return [Unconstrained(best)] if best is not None and better else []
