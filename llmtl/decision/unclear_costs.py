"""Of which two strategies, that a verdict hangs on, is it not known which costs less?

Not covered: costs that nobody measured; the words for it (`llmtl.report`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from llmtl.costs import cost_of_load
from llmtl.decision.ranking import Ranking


@dataclass(frozen=True)
class UnclearCost:
    """Either of two strategies may cost less: noise or load may explain what was measured.

    `load` is the larger share of the seconds of one of them that other programs may have taken.
    """

    strategy: str
    rival: str
    load: float
    kind: Literal["unclear_cost"] = "unclear_cost"


def unclear_costs(ranking: Ranking, pairs: Iterable[tuple[str, str]]) -> tuple[UnclearCost, ...]:
    """List the pairs of which each may be the cheaper one by more than what counts as equal."""
    return tuple(
        UnclearCost(a, b, max(cost_of_load(ranking[name]) for name in (a, b)))
        for a, b in pairs
        if all(ranking.usd_per_1k(name) is not None for name in (a, b))
        and ranking.may_be_cheaper(a, b)
        and ranking.may_be_cheaper(b, a)
    )
