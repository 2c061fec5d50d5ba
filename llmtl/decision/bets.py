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
    """Beliefs from dev and test together, and by them the expected regrets of those that may be used."""

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
    """Form beliefs on every strategy that is not barred; only one that was tested may be used.

    A strategy that left the race has the part of dev that it saw, and test where it was compared there.
    """
    names = [name for name in ranking.names() if name not in choice.barred]
    pooled = [together(ranking[name], test[name]) if name in test else ranking[name] for name in names]
    beliefs = believe(pooled, ranking.metric, seed=seed)
    expected = beliefs.expected_regrets(ranking.cheaper, choice.margin)
    return Bets(beliefs, {name: expected[name] for name in names if name in test}, ranking)
