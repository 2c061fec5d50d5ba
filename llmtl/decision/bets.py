"""What to use where test shows nothing: the better bet, by what dev and test say together.

Not covered: what test shows (`evidence`), and what follows from that (`verdict`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmtl.decision.beliefs import Beliefs, believe, least, together
from llmtl.decision.outcome import Choice
from llmtl.decision.ranking import Ranking
from llmtl.measured.evaluation import Evaluation


@dataclass(frozen=True)
class Bets:
    """Beliefs from dev and test together, and the expected regrets by them."""

    beliefs: Beliefs
    expected_regret: dict[str, float]
    ranking: Ranking

    def best(self, among: Sequence[str]) -> str:
        """Find the strategy with the least expected regret, the cheapest of those with as little."""
        return self.ranking.cheapest(least(self.expected_regret, among))

    def better(self, names: Sequence[str], baseline: str | None, *, alpha: float) -> list[str]:
        """List those believed to be better than the baseline with a probability of 1 - alpha; all without one."""
        known = [name for name in names if name in self.beliefs.names]
        if baseline not in self.beliefs.names:
            return known
        return [name for name in known if self.beliefs.chance_better(name, baseline) >= 1 - alpha]


def place_bets(ranking: Ranking, choice: Choice, test: Mapping[str, Evaluation], *, seed: int) -> Bets:
    """Form beliefs on who may be used and was tested; who left the race saw a part of dev only and stays out."""
    out = {*choice.barred, *(item.strategy for item in choice.dropped)}
    names = [name for name in ranking.names() if name in test and name not in out]
    pooled = [together(ranking[name], test[name]) for name in names] or [ranking[choice.strategy]]
    beliefs = believe(pooled, ranking.metric, seed=seed)
    return Bets(beliefs, beliefs.expected_regrets(ranking.cheaper, choice.margin), ranking)
