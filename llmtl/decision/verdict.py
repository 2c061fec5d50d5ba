"""The verdict from the choice on dev and the evidence on test, by rules that were fixed before either was seen.

With W the choice, B the best baseline, L the best model strategy on dev (one that is not a baseline), and "better"
meaning a Holm-corrected p-value of at most alpha:

    baseline      W or L is a model strategy, and each is shown not better than B by more than the margin
                  (one-sided 95% upper bound), or B is better; W a baseline: the same for L against W; or no model
                  strategy could be chosen
    adopt         W is a model strategy, better than B, and better than every cheaper rival it was compared
                  with, by what may be more than the margin. Without a baseline: better than a rival, or the cheapest
                  and no rival is better by more than the margin; never with nothing shown
    tie           W is better than B, but a cheaper rival is not shown worse; a rival counts as cheaper, too, where it
                  costs as much and adapts less, and where a cost is not known well enough to tell. The same where a
                  rival that costs as much and adapts no more did better on test by more than the margin, though that
                  may be chance: nothing speaks for W then but dev
    inconclusive  everything else

What to use after `tie` and `inconclusive` is not what test shows, since it shows nothing there, but the better bet:
the least expected regret on dev and test together (`beliefs`). "Not shown worse" alone is not a reason to move to a
cheaper strategy. After a tie the winner is W or one of the tied of which it is believed, with the probability that
`alpha` leaves, that it is better than B; after `inconclusive` any that was tested.

A strategy that is shown better than the choice, and by more than the margin, contradicts it: inconclusive, because
picking that one now as if test had shown it would be choosing on test. Without a baseline the demands on B fall away
and a warning says so.

Not covered: the words for it (`llmtl.report`), what would settle it (`power`, `changes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.decision.adaptation import adapts_more
from llmtl.decision.bets import Bets
from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import Choice, Rule, Verdict
from llmtl.decision.ranking import Ranking


@dataclass(frozen=True)
class Ruling:
    """A verdict, the strategy to use, the rule that led there, and the comparisons (a, b) that it hangs on.

    After `OPEN` and `TIED` the pairs are those that more test examples would settle. `cheapest_tied` is the cheapest of
    the tied, which need not be the winner.
    """

    verdict: Verdict
    winner: str
    rule: Rule
    pairs: tuple[tuple[str, str], ...] = ()
    cheapest_tied: str | None = None


def rule(choice: Choice, evidence: Evidence, ranking: Ranking, bets: Bets) -> Ruling:
    """Rule on the choice."""
    if ranking.is_baseline(choice.strategy):
        return _rule_on_baseline(choice, evidence, ranking, bets)
    return _rule_on_llm(choice, evidence, ranking, bets)


def _open(pairs: Sequence[tuple[str, str]], bets: Bets, why: Rule = Rule.OPEN) -> Ruling:
    """Rule that nothing is shown: use the better bet."""
    return Ruling(Verdict.INCONCLUSIVE, bets.best([*bets.expected_regret]), why, tuple(pairs))


def _rule_on_baseline(choice: Choice, evidence: Evidence, ranking: Ranking, bets: Bets) -> Ruling:
    """Rule where dev chose a baseline."""
    chosen, llm = choice.strategy, choice.best_llm
    contradicting = _contradicting(evidence, ranking, chosen)
    if contradicting:
        return _open([(contradicting[0], chosen)], bets, Rule.CONTRADICTED)
    if llm is None:
        return Ruling(Verdict.BASELINE, chosen, Rule.NO_LLM)
    if evidence.not_worth_more(llm, chosen):
        return Ruling(Verdict.BASELINE, chosen, Rule.NOT_WORTH_MORE, ((llm, chosen),))
    return _open([(llm, chosen)], bets)


def _rule_on_llm(choice: Choice, evidence: Evidence, ranking: Ranking, bets: Bets) -> Ruling:
    """Rule where dev chose a strategy that is not a baseline."""
    chosen, baseline = choice.strategy, choice.best_baseline
    if baseline is not None:
        candidates = list(dict.fromkeys([chosen, choice.best_llm or chosen]))
        if all(evidence.not_worth_more(name, baseline) for name in candidates):
            return Ruling(
                Verdict.BASELINE, baseline, Rule.NOT_WORTH_MORE, tuple((name, baseline) for name in candidates)
            )
        if not evidence.shown_better(chosen, baseline) or _trivial(evidence, chosen, baseline):
            unsettled = [(name, baseline) for name in candidates if not evidence.not_worth_more(name, baseline)]
            return _open(unsettled, bets)
    elif not evidence.comparisons:
        return Ruling(Verdict.INCONCLUSIVE, chosen, Rule.ALONE)
    return _rule_among_llms(choice, evidence, ranking, bets)


def _rule_among_llms(choice: Choice, evidence: Evidence, ranking: Ranking, bets: Bets) -> Ruling:
    """Rule on a choice that beats the best baseline, if there is one: is it worth more than its rivals?"""
    chosen, baseline = choice.strategy, choice.best_baseline
    contradicting = _contradicting(evidence, ranking, chosen)
    if contradicting:
        return _open([(contradicting[0], chosen)], bets, Rule.CONTRADICTED)
    rivals = [name for name in ranking.names(baseline=False) if evidence.about(name, chosen)]
    tied = [
        name
        for name in rivals
        if (ranking.may_be_cheaper(name, chosen) or _level_and_ahead(evidence, ranking, name, chosen=chosen))
        and (not evidence.shown_better(chosen, name) or _trivial(evidence, chosen, name))
    ]
    if tied:
        winner = bets.best([chosen, *bets.better(tied, baseline, alpha=evidence.alpha)])
        pairs = tuple((chosen, name) for name in tied)
        return Ruling(Verdict.TIE, winner, Rule.TIED, pairs, ranking.cheapest([chosen, *tied]))
    undecided = [name for name in rivals if not evidence.not_worth_more(name, chosen)]
    if baseline is None and undecided and not any(evidence.shown_better(chosen, name) for name in rivals):
        return _open([(name, chosen) for name in undecided], bets)
    return Ruling(Verdict.ADOPT, chosen, Rule.BETTER, tuple((chosen, name) for name in rivals))


def _level_and_ahead(evidence: Evidence, ranking: Ranking, name: str, *, chosen: str) -> bool:
    """Return whether a rival that is no larger a thing than the choice did better on test by more than the margin."""
    if ranking.surely_cheaper(chosen, name) or adapts_more(ranking, name, chosen):
        return False
    return (evidence.difference(name, chosen) or 0.0) > evidence.margin


def _trivial(evidence: Evidence, a: str, b: str) -> bool:
    """Return whether a is shown not better than b by more than the margin, however significant the difference."""
    bound = evidence.at_most(a, b)
    return bound is not None and bound <= evidence.margin


def _contradicting(evidence: Evidence, ranking: Ranking, chosen: str) -> list[str]:
    """Return the strategies shown better than the choice and by more than the margin."""
    return [
        name
        for name in ranking.names()
        if evidence.shown_better(name, chosen) and (evidence.difference(name, chosen) or 0.0) > evidence.margin
    ]
