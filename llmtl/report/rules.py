"""The reason of a verdict in one or two sentences, by the rule that led to it.

Not covered: the further reasons, warnings and what would change it (`sentences`).
"""

from dataclasses import dataclass

from llmtl.decision.capability import AllZero, Incapable
from llmtl.decision.evidence import Evidence, evidence_of
from llmtl.decision.outcome import Decision, Failures, Rule
from llmtl.decision.outlook import MoreExamples
from llmtl.report import claims, share_words, total_words, wording
from llmtl.report.metric_words import Words, listed
from llmtl.strategies.table import usual_baselines
from llmtl.strategy import Role
from llmtl.task import Metric


@dataclass(frozen=True)
class Case:
    """A decision with its evidence, ready to be put in words."""

    decision: Decision
    evidence: Evidence
    words: Words

    @classmethod
    def of(cls, decision: Decision) -> "Case":
        """Return the case of a decision."""
        return cls(decision, evidence_of(decision), Words(Metric(decision.metric)))

    def against(self, a: str, b: str, title: str = "") -> str:
        """Return the two test scores and how they compare; `title` says what b is."""
        first, second = self.decision.result(a), self.decision.result(b)
        return f"{self.words.against(first, second, title)} ({self.words.better(self.evidence, a, b)})"

    def tested(self, baseline: str) -> list[str]:
        """Return the strategies on test that are not baselines, but those shown better than this one."""
        return [
            item.name
            for item in self.decision.strategies
            if item.test and item.role is not Role.BASELINE and not self.evidence.shown_better(item.name, baseline)
        ]

    def unable(self, name: str) -> Incapable | None:
        """Say what was found of the model of a strategy, if it cannot do the task."""
        found = (item for item in self.decision.cautions if isinstance(item, Incapable))
        return next((item for item in found if name in item.strategies), None)

    def failing(self, name: str) -> Failures | None:
        """Say how often a strategy failed, if that was so often that its score shows little else."""
        found = (item for item in self.decision.cautions if isinstance(item, Failures))
        return next((item for item in found if item.strategy == name and item.many), None)

    @property
    def usual_baseline(self) -> str:
        """Name a baseline to add, or one per kind of task where the metric judges several."""
        return " or ".join(usual_baselines(self.words.metric))

    @property
    def on_test(self) -> str:
        """Return on how much evidence a sentence rests."""
        return f"on {wording.plural(self.evidence.n, 'unseen example')}"


def reason(case: Case, rule: Rule) -> tuple[str, str]:
    """Return the reason as its opening, which says no more than the verdict and may be empty, and the rest."""
    nothing = next((item for item in case.decision.cautions if isinstance(item, AllZero)), None)
    if nothing is not None:
        return "", claims.all_zero(nothing, case.decision.winner)
    return {
        Rule.BETTER: _better,
        Rule.TIED: _tied,
        Rule.NOT_WORTH_MORE: _not_worth_more,
        Rule.NO_LLM: _no_llm,
        Rule.OPEN: _open,
        Rule.CONTRADICTED: _contradicted,
        Rule.ALONE: _alone,
        Rule.LOWER_TOTAL: total_words.lower_total,
        Rule.TOTALS_TIED: total_words.totals_tied,
        Rule.TOTALS_OPEN: total_words.totals_open,
        Rule.TOTAL_CONTRADICTED: total_words.total_contradicted,
        Rule.LARGER_SHARE: share_words.larger_share,
        Rule.SHARES_TIED: share_words.shares_tied,
        Rule.SHARE_NOT_WORTH_MORE: share_words.share_not_worth_more,
        Rule.NO_SURE_LLM: share_words.no_sure_llm,
        Rule.SHARES_OPEN: share_words.shares_open,
        Rule.SHARE_CONTRADICTED: share_words.share_contradicted,
        Rule.NOT_CONFIRMED: share_words.not_confirmed,
    }[rule](case)


def _better(case: Case) -> tuple[str, str]:
    decision, evidence = case.decision, case.evidence
    winner, baseline = decision.winner, decision.choice.best_baseline
    beaten = [b for a, b in decision.hangs_on if b != baseline and evidence.shown_better(a, b)]
    tail = f" It is also shown better than {listed(beaten)}." if beaten and baseline else ""
    against = baseline or (beaten or [b for _, b in decision.hangs_on])[0]
    title = ", the best baseline" if baseline else ""
    if not baseline and not beaten:
        return "", (
            f"Adopt {winner}, the cheapest: {case.on_test} {case.against(winner, against)}, and nothing that it was "
            f"compared with is better by more than {case.words.gap(decision.choice.margin)}."
        )
    return f"Adopt {winner}: ", f"{case.on_test} {case.against(winner, against, title)}.{tail}"


def _tied(case: Case) -> tuple[str, str]:
    decision, evidence = case.decision, case.evidence
    winner, chosen, baseline = decision.winner, decision.choice.strategy, decision.choice.best_baseline
    rivals = [rival for _, rival in decision.hangs_on]
    take = f"Take {winner}, {_better_bet(case)}"
    if baseline is not None and winner == chosen:
        take += f" and shown better than {baseline}, the best baseline"
    more = decision.more_test_examples
    settle = "" if more is None else f" {wording.capital(would_settle(case, more))}."
    other = winner if winner != chosen else rivals[0]
    shown = all(evidence.not_worth_more(chosen, rival) for rival in rivals)
    worth = f"{chosen} is not worth more than {listed(rivals)}"
    said = worth if shown else f"{listed([chosen, *rivals])} cannot be told apart"
    return "", f"{said}: {case.on_test} {case.against(chosen, other)}. {take}.{settle}"


def _not_worth_more(case: Case) -> tuple[str, str]:
    decision, evidence, words = case.decision, case.evidence, case.words
    winner = decision.winner
    llm = max((a for a, _ in decision.hangs_on), key=decision.dev_score)
    bound = evidence.at_most(llm, winner) or 0.0
    if evidence.shown_better(winner, llm):
        shown = "which is shown better"
    elif bound <= 0:
        shown = "so it is no better (one-sided 95% bound)"
    else:
        shown = f"so it is at most {words.gap(bound)} better (one-sided 95% bound)"
    measured = f"{case.on_test} {case.against(llm, winner)}, {shown}"
    unable, failing = case.unable(llm), case.failing(llm)
    if unable is None and failing is not None:
        often = f"{llm} failed on {failing.failed} of {failing.n} test examples"
        return "", f"Use {winner} for now: {often}, so what its model can do is not known. {wording.capital(measured)}."
    if unable:
        why = f"{claims.cannot(unable, words)}.{claims.nor(unable)} {wording.capital(measured)}"
    else:
        why = f"{claims.none_better(decision, case.tested(winner), words.gap(decision.choice.margin))}: {measured}"
    return "", f"Use {winner}, as {why}."


def _no_llm(case: Case) -> tuple[str, str]:
    decision = case.decision
    barred = [item.name for item in decision.strategies if item.role is not Role.BASELINE and item.broken]
    if not barred:
        return "", f"Use {decision.winner}: no strategy with a pre-trained model was measured."
    excluded = f"({listed(barred)} excluded)"
    return "", f"Use {decision.winner}: no strategy with a pre-trained model meets the constraints {excluded}."


def _open(case: Case) -> tuple[str, str]:
    decision = case.decision
    a, b = decision.hangs_on[0]
    more = decision.more_test_examples
    advice = (
        "no realistic number of further test examples would settle it" if more is None else would_settle(case, more)
    )
    return "Too close to call: ", (
        f"{case.on_test} {case.against(a, b)}, which neither shows it better nor rules out that it "
        f"is better by more than {case.words.gap(decision.choice.margin)}; {advice}. Until then: {decision.winner}, "
        f"{_better_bet(case)}."
    )


def would_settle(case: Case, more: int) -> str:
    """Return under which condition so many more test examples settle it, and with what chance they do."""
    pairs = len(case.decision.hangs_on)
    if_true = "that is the true difference" if pairs == 1 else "the observed differences are the true ones"
    chance = next((item.chance for item in case.decision.changes if isinstance(item, MoreExamples)), None)
    told = "" if chance is None else f" ({settles(chance)})"
    return f"if {if_true}, about {wording.plural(more, 'more labelled test example')} would settle it{told}"


def settles(chance: float) -> str:
    """Return the chance that further examples settle it, all uncertainty told."""
    return f"given how uncertain that is, the chance is {wording.chance_in_words(chance)}"


def _contradicted(case: Case) -> tuple[str, str]:
    a, b = case.decision.hangs_on[0]
    return "", (
        f"Dev and test disagree: dev chose {b}, but {case.on_test} {case.against(a, b)}. Taking {a} for shown now "
        "would be choosing on test; label more examples and decide again. Until then: "
        f"{case.decision.winner}, {_better_bet(case)}."
    )


def _better_bet(case: Case) -> str:
    """Say why a strategy is used though nothing is shown; decisions of before took the cheapest of the tied."""
    decision = case.decision
    if not decision.expected_regret:
        return "the cheapest of them" if decision.rule is Rule.TIED else "chosen on dev"
    return "the better bet on dev and test together"


def _alone(case: Case) -> tuple[str, str]:
    return "", f"There is nothing to compare {case.decision.winner} with; add a baseline such as {case.usual_baseline}."
