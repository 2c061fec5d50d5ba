"""Where a judge contradicts the decision, as values.

The judge changes no verdict: the decision's error rate holds for the metric that was written down before test was
opened, and a second measure consulted afterwards would add chances to be wrong. Not covered: the words
(`llmtl.report.judging`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmtl.decision.outcome import Decision
from llmtl.judging.pairs import Contest
from llmtl.judging.result import JudgedComparison, Judging


@dataclass(frozen=True)
class Contradiction:
    """A preference for `preferred` over `other`, which is the winner, or shown better in the metric."""

    comparison: JudgedComparison
    preferred: str
    other: str
    against_winner: bool


def contradictions(judging: Judging, decision: Decision) -> tuple[Contradiction, ...]:
    """Find where the judge is shown to prefer another strategy than the decision does."""
    comparisons = judging.opinion.comparisons if judging.opinion else ()
    found = (_contradiction(item, judging.alpha, decision) for item in comparisons)
    return tuple(item for item in found if item is not None)


def judges_itself(model: str, contests: Sequence[Contest], asked: Mapping[str, str | None]) -> bool:
    """Tell whether the judge reads outputs of its own; `asked` has the models that strategies had write them."""
    return any(asked.get(name) == model for each in contests for name in (each.a, each.b))


def _contradiction(item: JudgedComparison, alpha: float, decision: Decision) -> Contradiction | None:
    preferred = item.preferred(alpha)
    if preferred is None:
        return None
    other = item.b if preferred == item.a else item.a
    if other != decision.winner and other != _shown_better(item, alpha, decision):
        return None
    return Contradiction(item, preferred, other, other == decision.winner)


def _shown_better(item: JudgedComparison, alpha: float, decision: Decision) -> str | None:
    """Return which of the two strategies test shows better in the metric, if it does."""
    for measured in decision.comparisons:
        if {measured.a, measured.b} == {item.a, item.b} and measured.p_holm <= alpha and measured.difference:
            return measured.a if measured.difference > 0 else measured.b
    return None
