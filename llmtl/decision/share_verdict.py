"""The verdict where the goal is to automate: the rules of `verdict`, with shares that can be left in place of scores.

"Better" is a larger share that a test like this is expected to confirm, by comparisons that are paired by example and
Holm-corrected (`share_beliefs`); the margin is one of shares. Beyond those rules nothing but `inconclusive` is said of
a strategy of which test did not confirm that anything can be left to it (`automation`): no adopt, no tie and no
baseline rests on a promise that was not shown. What to use is then the better bet of those that were confirmed, if
there are any: all promises hold together, so that one may be picked.

Not covered: the words for it (`llmtl.report.share_words`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmtl.costs import PriceConfig
from llmtl.decision.automation import automated, fix_ladders, marked
from llmtl.decision.beliefs import together
from llmtl.decision.bets import Bets
from llmtl.decision.changes import other_margins
from llmtl.decision.config import DecisionConfig, Goal
from llmtl.decision.evidence import Evidence, corrected
from llmtl.decision.outcome import Choice, Decision, Rule, Verdict
from llmtl.decision.outlook import Change
from llmtl.decision.promise import Automated, Promise
from llmtl.decision.ranking import Ranking
from llmtl.decision.share_beliefs import ShareBeliefs
from llmtl.decision.share_choice import among
from llmtl.decision.verdict import Ruling, rule
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.selective import Bools
from llmtl.task import Metric

RULES = {
    Rule.BETTER: Rule.LARGER_SHARE,
    Rule.TIED: Rule.SHARES_TIED,
    Rule.NOT_WORTH_MORE: Rule.SHARE_NOT_WORTH_MORE,
    Rule.NO_LLM: Rule.NO_SURE_LLM,
    Rule.OPEN: Rule.SHARES_OPEN,
    Rule.CONTRADICTED: Rule.SHARE_CONTRADICTED,
}
"""What a rule on scores is called where it is applied to shares."""


@dataclass(frozen=True)
class SharesOnTest:
    """What test shows about shares: the comparisons, what was confirmed of each strategy, and the better bets.

    `changes` are the margins at which dev would have chosen another strategy.
    """

    evidence: Evidence
    promises: tuple[Automated, ...]
    bets: Bets
    ranking: Ranking
    changes: tuple[Change, ...]

    @property
    def confirmed(self) -> list[str]:
        """List the strategies of which test confirmed that something can be left to them."""
        return [item.strategy for item in self.promises if item.promise is Promise.SHOWN and item.answered]


def shares_on_test(
    choice: Choice,
    dev: Sequence[Evaluation],
    test: Mapping[str, Evaluation],
    *,
    metric: Metric,
    config: DecisionConfig,
    prices: PriceConfig,
) -> SharesOnTest | None:
    """Measure the shares of a choice that was made by them; None where it was not."""
    if choice.goal is not Goal.AUTOMATE:
        return None
    n = next(iter(test.values())).n
    beliefs = ShareBeliefs.fixed_on(dev, n, metric=metric, config=config)
    ladders = choice.ladders or fix_ladders(dev, n, metric=metric, chosen=choice.strategy, config=config)
    promises = automated(ladders, test, config=config)
    answered = {item.strategy: _answered(item, test[item.strategy]) for item in promises}
    planned = choice.comparisons
    measured = [
        beliefs.compare(test[item.a], test[item.b], answered=answered, config=config, comparisons=len(planned))
        for item in planned
    ]
    ranking = Ranking(tuple(dev), metric, prices, choice.expected_shares)
    able = [name for name in ranking.names() if name in choice.expected_regret]
    tested = [name for name in able if name in test]
    pooled = beliefs.believe([together(ranking[name], test[name]) for name in tested])
    bets = Bets(pooled, pooled.expected_regrets(ranking.cheaper, choice.margin), ranking)
    on_dev = among(beliefs.believe(dev), able)
    return SharesOnTest(
        evidence=corrected(choice, measured, n=n, alpha=config.alpha),
        promises=promises,
        bets=bets,
        ranking=ranking,
        changes=tuple(other_margins(choice, ranking, on_dev)),
    )


def rule_by_share(choice: Choice, shares: SharesOnTest) -> Ruling:
    """Rule on a choice that was made by the share that can be left to it."""
    found = rule(choice, shares.evidence, shares.ranking, shares.bets)
    found = replace(found, rule=RULES.get(found.rule, found.rule))
    confirmed = shares.confirmed
    if found.winner in confirmed:
        return found
    if found.verdict is Verdict.TIE:
        tied = [name for name in (choice.strategy, *(b for _, b in found.pairs)) if name in confirmed]
        if choice.strategy in tied:
            return replace(found, winner=choice.strategy)
    others = [name for name in confirmed if name in shares.bets.beliefs.names]
    winner = shares.bets.best(others) if others else choice.strategy
    if others and found.verdict is Verdict.INCONCLUSIVE:
        return replace(found, winner=winner)
    return Ruling(Verdict.INCONCLUSIVE, winner, Rule.NOT_CONFIRMED, ((found.winner, winner),) if others else ())


def by_share(decision: Decision, shares: SharesOnTest, config: DecisionConfig) -> Decision:
    """Add what a decision by shares rests on; who does not say how sure it is could not be chosen."""
    able = decision.choice.expected_regret
    return replace(
        decision,
        strategies=tuple(item if item.name in able else replace(item, eligible=False) for item in decision.strategies),
        changes=(*decision.changes, *shares.changes),
        share_comparisons=shares.evidence.comparisons,
        expected_regret=shares.bets.expected_regret,
        max_error_automated=config.max_error_automated,
        automation=shares.promises,
    )


def _answered(promise: Automated, test: Evaluation) -> Bools:
    """Mark what a strategy answers alone, (N,): nothing where no threshold was confirmed."""
    known = marked(test, promise.calibration)
    through = known.let_through(promise.threshold or 0.0)
    return through if promise.promise is Promise.SHOWN else through & False
