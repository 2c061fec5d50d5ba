"""The verdict where it is known what a wrong answer costs: on expected total costs instead of scores.

With W the choice (the lowest expected total on dev), B the baseline and L the model strategy (one that is not a
baseline) whose totals were the lowest on dev, and "lower" meaning that a total on test is the lower of two with a
probability of at least 1 - alpha / 2, which is the one-sided level of a two-sided test at alpha:

    baseline      B (where W is a baseline, W itself) is lower than W (than L); or no model strategy could be chosen
    adopt         W is a model strategy, lower than B, and lower than every other model strategy that costs less to
                  run; without a baseline, lower than all of them
    tie           W is lower than B, but one that costs less to run may have as low a total; the winner is the lowest
                  expected total, on dev and test together, of W and of those of them that are lower than B
    inconclusive  everything else; the winner is the lowest expected total, on dev and test together

A strategy that is lower than the choice contradicts it: inconclusive, because picking that one now as if test had shown
it would be choosing on test. So does a baseline that is shown to score better than W by more than the margin: the tests
of scores guard against a wrongly stated cost of errors.

The margin decides nothing else: what a loss of score is worth is known. Not covered: the words for it (`llmtl.report`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmtl.decision.beliefs import together
from llmtl.decision.config import DecisionConfig
from llmtl.decision.evidence import Evidence
from llmtl.decision.expected_cost import ErrorCosts, JointTotals, joint_totals, spending_of
from llmtl.decision.outcome import Choice, Decision, Rule, Verdict
from llmtl.decision.outlook import MoreRequests, NarrowerMargin, WiderMargin
from llmtl.decision.ranking import Ranking
from llmtl.decision.totals import ErrorCostChange, ExpectedTotals
from llmtl.decision.verdict import Ruling
from llmtl.measured.evaluation import Evaluation


@dataclass(frozen=True)
class TotalsOnTest:
    """The totals of the strategies that were tested and may be chosen: on test, and on dev and test together."""

    test: JointTotals
    both: JointTotals
    alpha: float

    def lower(self, a: str, b: str) -> bool:
        """Say whether the total of a is lower than that of b on test, with the probability that a verdict asks."""
        return self.test.saving(a, b).probability >= 1 - self.alpha / 2


def totals_on_test(
    choice: Choice, ranking: Ranking, test: Mapping[str, Evaluation], config: DecisionConfig
) -> TotalsOnTest | None:
    """Draw the totals of a choice that was made by them; None where it was not."""
    costs = ErrorCosts.of(config)
    if choice.expected_totals is None or costs is None:
        return None
    names = [item.strategy for item in choice.expected_totals.strategies if item.strategy in test]
    spent = spending_of(ranking.evaluations, ranking.prices, choice.labels_used)
    on_test, both = (
        joint_totals(made, spent, costs, metric=ranking.metric, requests=ranking.prices.requests)
        for made in ([test[name] for name in names], [together(ranking[name], test[name]) for name in names])
    )
    return TotalsOnTest(on_test, both, config.alpha)


def rule_by_cost(choice: Choice, evidence: Evidence, ranking: Ranking, totals: TotalsOnTest) -> Ruling:
    """Rule on a choice that was made by expected total cost."""
    chosen, on_dev = choice.strategy, choice.expected_totals
    if on_dev is None:
        raise ValueError("the choice was not made by expected total cost")
    names = [name for name in totals.test.names if on_dev.of(name) is not None]
    baseline, llm = (
        _lowest(on_dev, [name for name in names if ranking.is_baseline(name) is kind]) for kind in (True, False)
    )
    if llm is None:
        return Ruling(Verdict.BASELINE, chosen, Rule.NO_LLM)
    if len(names) == 1:
        return Ruling(Verdict.INCONCLUSIVE, chosen, Rule.ALONE)
    if not ranking.is_baseline(chosen):
        return _rule_on_llm(choice, baseline, evidence, ranking, totals)
    if totals.lower(chosen, llm):
        return Ruling(Verdict.BASELINE, chosen, Rule.LOWER_TOTAL, ((chosen, llm),))
    if totals.lower(llm, chosen):
        return _open(totals, (llm, chosen), Rule.TOTAL_CONTRADICTED)
    return _open(totals, (llm, chosen), Rule.TOTALS_OPEN)


def _rule_on_llm(
    choice: Choice, baseline: str | None, evidence: Evidence, ranking: Ranking, totals: TotalsOnTest
) -> Ruling:
    """Rule where the lowest expected total on dev is that of a model strategy."""
    chosen = choice.strategy
    if baseline is not None:
        if totals.lower(baseline, chosen):
            return Ruling(Verdict.BASELINE, baseline, Rule.LOWER_TOTAL, ((baseline, chosen),))
        if not totals.lower(chosen, baseline):
            return _open(totals, (chosen, baseline), Rule.TOTALS_OPEN)
    righter = choice.best_baseline
    ahead = evidence.shown_better(righter, chosen) and evidence.difference(righter, chosen) if righter else None
    if righter and ahead and ahead > evidence.margin:
        return _open(totals, (righter, chosen), Rule.CONTRADICTED)
    return _rule_among_llms(chosen, baseline, ranking, totals)


def _rule_among_llms(chosen: str, baseline: str | None, ranking: Ranking, totals: TotalsOnTest) -> Ruling:
    """Rule on a choice that costs less in all than the baseline, if there is one: do those that cost less to run?"""
    rivals = [name for name in totals.test.names if not ranking.is_baseline(name) and name != chosen]
    contradicting = [name for name in rivals if totals.lower(name, chosen)]
    if contradicting:
        return _open(totals, (contradicting[0], chosen), Rule.TOTAL_CONTRADICTED)
    asked = [name for name in rivals if baseline is None or totals.test.spends_less(name, chosen)]
    tied = [name for name in asked if not totals.lower(chosen, name)]
    if not tied:
        beaten = ([] if baseline is None else [baseline]) + asked
        return Ruling(Verdict.ADOPT, chosen, Rule.LOWER_TOTAL, tuple((chosen, name) for name in beaten))
    if baseline is None:
        return _open(totals, (chosen, tied[0]), Rule.TOTALS_OPEN)
    proven = [name for name in tied if totals.lower(name, baseline)]
    winner = totals.both.best([chosen, *proven])
    return Ruling(Verdict.TIE, winner, Rule.TOTALS_TIED, tuple((chosen, name) for name in tied), winner)


def _open(totals: TotalsOnTest, pair: tuple[str, str], why: Rule) -> Ruling:
    """Rule that nothing is shown: use what is expected to cost least."""
    return Ruling(Verdict.INCONCLUSIVE, totals.both.best(totals.both.names), why, (pair,))


def _lowest(on_dev: ExpectedTotals, names: list[str]) -> str | None:
    """Name the lowest expected total on dev of these."""
    return min(names, key=lambda name: item.usd_total if (item := on_dev.of(name)) else float("inf"), default=None)


def by_cost(decision: Decision, totals: TotalsOnTest) -> Decision:
    """Add the totals that a decision rests on, and leave out what would change a choice by the margin."""
    kept = [item for item in decision.changes if not isinstance(item, WiderMargin | NarrowerMargin | MoreRequests)]
    savings = [totals.test.saving(a, b) for a, b in decision.hangs_on if {a, b} <= {*totals.test.names}]
    left_out = [item.name for item in decision.strategies if item.name not in totals.test.names]
    return replace(
        decision,
        changes=(*kept, *_other_costs(decision, totals.test.costs)),
        expected_totals=totals.test.described(left_out=left_out, savings=savings),
    )


def _other_costs(decision: Decision, costs: ErrorCosts) -> list[ErrorCostChange]:
    """List the nearest costs of an error below and above the known one at which another strategy is the best."""
    if costs.by_label or decision.value_of_accuracy is None:
        return []
    switches = decision.value_of_accuracy.switches
    below = [item for item in switches if item.usd_per_error <= costs.usd]
    above = [item for item in switches if item.usd_per_error > costs.usd]
    return [
        *(ErrorCostChange(item.usd_per_error, item.below, above=False) for item in below[-1:]),
        *(ErrorCostChange(item.usd_per_error, item.above, above=True) for item in above[:1]),
    ]
