"""A verdict for who reads for two minutes: the headline, three sentences, at most three reasons.

p-values, methods and the other reasons are told further down the report. Not covered: the headline (`headline`), what
to read with care (`care_words`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.decision.capability import AllZero, Incapable
from llmtl.decision.evidence import Evidence, evidence_of
from llmtl.decision.outcome import Decision, Rule, StrategyResult, Verdict
from llmtl.kinds.kind import Kind
from llmtl.report import claims, share_words, wording
from llmtl.report.headline import headline, how_right, plain, right, so_many_times
from llmtl.report.metric_words import SHARES, Words, listed
from llmtl.report.sentences import Summary
from llmtl.strategy import Role
from llmtl.task import Metric

MOST_REASONS = 3
_HOPELESS = 20
"""More test examples than so many times those there are will hardly be labelled."""
_P_VALUE = re.compile(r",? p (?:[=<] )[\d.]+\d")
_BY_SCORE = (Rule.BETTER, Rule.TIED, Rule.NOT_WORTH_MORE, Rule.NO_LLM, Rule.OPEN, Rule.CONTRADICTED, Rule.ALONE)


@dataclass(frozen=True)
class VerdictCard:
    """The top of every form of the report.

    `next_step` is the last of `sentences`; `reasons` are the first of the further reasons.
    """

    headline: str
    sentences: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def next_step(self) -> str:
        """Say what to do next."""
        return self.sentences[-1]


def brief_of(
    decision: Decision, summary: Summary, codes: Mapping[str, str] | None = None, *, kind: Kind | None = None
) -> VerdictCard:
    """Return the top of the report on a decision; `codes` and `kind` as for `headline`."""
    told = _by_score(decision, kind) if _plain(decision) else (without_p(summary.below_verdict),)
    step = _next_step(decision, kind, servable=bool(codes))
    first = next((item for item in told if item), "")
    key = summary.key_reasons or summary.reasons
    reasons = tuple(without_p(line) for line in key if line not in first)[:MOST_REASONS]
    return VerdictCard(headline(decision, codes, kind=kind), (*told, step), reasons)


def without_p(sentence: str) -> str:
    """Return a sentence without its p-values, which the table of comparisons has."""
    return _P_VALUE.sub("", sentence)


def _plain(decision: Decision) -> bool:
    zero = any(isinstance(item, AllZero) for item in decision.cautions)
    return decision.rule in _BY_SCORE and not zero and any(item.test for item in decision.strategies)


def _by_score(decision: Decision, kind: Kind | None) -> tuple[str, ...]:
    """Return what was measured, and what that shows, for verdicts that rest on scores."""
    winner, rival = decision.result(decision.winner), _rival(decision)
    return _measured(decision, winner, rival, kind), _shown(decision) + _ahead(decision, winner)


def _ahead(decision: Decision, winner: StrategyResult) -> str:
    """Name who did better on test than what is recommended, by more than matters, though that is not shown."""
    if decision.verdict not in (Verdict.ADOPT, Verdict.TIE) or winner.test is None:
        return ""
    others = [item for item in decision.strategies if item.test and item.name != winner.name]
    best = max(others, key=lambda item: item.test.value if item.test else 0.0, default=None)
    if best is None or best.test is None or best.test.value - winner.test.value <= decision.margin:
        return ""
    ahead = Words(Metric(decision.metric)).gap(best.test.value - winner.test.value)
    return f" {best.name} was {ahead} ahead on test, which may be chance."


def _rival(decision: Decision) -> StrategyResult | None:
    """Return who the winner is told beside: the best baseline, or for a baseline the best of the others."""
    baseline = decision.choice.best_baseline
    winner = decision.result(decision.winner)
    if winner.role is not Role.BASELINE and baseline is not None and decision.result(baseline).test:
        return decision.result(baseline)
    tested = [item for item in decision.strategies if item.test and item.name != winner.name]
    others = [item for item in tested if item.role is not Role.BASELINE] or tested
    return max(others, key=lambda item: item.test.value if item.test else 0.0, default=None)


def _measured(decision: Decision, winner: StrategyResult, rival: StrategyResult | None, kind: Kind | None) -> str:
    metric, shown = Metric(decision.metric), winner.test or winner.dev
    where = f"On {wording.plural(winner.test.n, 'unseen example')}" if winner.test else "On dev"
    low, high = shown.ci95
    beside = ""
    if rival is not None and rival.test is not None:
        baseline = rival.name == decision.choice.best_baseline
        title = "the best baseline, " if baseline else "the best other strategy, "
        score = so_many_times(rival.test.value) if metric in SHARES else plain(rival.test.value)
        beside = f"; {title}{rival.name}, {'was ' + right(metric, kind) if metric in SHARES else 'reached'} {score}"
    if metric in SHARES:
        ends = f"{100 * low:.0f} to {100 * high:.0f}"
        return f"{where} it was {how_right(metric, shown.value, kind=kind)} (95% interval {ends}){beside}."
    name = wording.capital(wording.metric_name(metric))
    meaning = f" {name} is {wording.metric_meaning(metric, kind)}; 1 is perfect." if kind else ""
    interval = f"95% interval {plain(low)} to {plain(high)}"
    return f"{where} it reached a score of {plain(shown.value)} ({interval}){beside}.{meaning}"


def _shown(decision: Decision) -> str:
    """Return what the comparison shows, by the rule that led to the verdict."""
    words = Words(Metric(decision.metric))
    margin = share_words.gaps_of(decision).gap(decision.choice.margin)
    a, b = decision.hangs_on[0] if decision.hangs_on else ("", "")
    unable = next((item for item in decision.cautions if isinstance(item, Incapable)), None)
    tied = listed(list(dict.fromkeys([decision.choice.strategy, *(rival for _, rival in decision.hangs_on)])))
    no_better = f"No strategy with a pre-trained model is shown better by more than the {margin} that matter."
    found = {
        Rule.BETTER: _better(decision, evidence_of(decision), words, margin),
        Rule.TIED: f"These examples do not tell {tied} apart by more than matters ({margin}); it is the better bet.",
        Rule.NOT_WORTH_MORE: claims.unable(unable, words) if unable else no_better,
        Rule.NO_LLM: "No strategy with a pre-trained model was measured that could be chosen.",
        Rule.OPEN: f"Whether {_any_of(decision, b)} is better than {b} by more than matters ({margin}) is open: it "
        "may be chance.",
        Rule.CONTRADICTED: f"Dev and test disagree: dev chose {b}, and on test {a} did better.",
    }
    return found.get(decision.rule, "There was nothing to compare it with.") if decision.rule else ""


def _any_of(decision: Decision, rival: str) -> str:
    """Name the strategies that may or may not be better than a rival, the recommended one first."""
    open_ones = dict.fromkeys(a for a, b in decision.hangs_on if b == rival)
    return " or ".join(sorted(open_ones, key=lambda name: name != decision.winner))


def _better(decision: Decision, evidence: Evidence, words: Words, margin: str) -> str:
    baseline = decision.choice.best_baseline
    against = baseline or next((b for a, b in decision.hangs_on if evidence.shown_better(a, b)), None)
    found = None if against is None else evidence.difference(decision.winner, against)
    if against is None or found is None or not evidence.shown_better(decision.winner, against):
        return f"Nothing that it was compared with is better by more than {margin}, and it is the cheapest."
    return f"Its lead of {words.gap(found)} over {against} is more than chance explains."


def _next_step(decision: Decision, kind: Kind | None, *, servable: bool) -> str:
    """Say what to do next, which an open verdict and a missed target change.

    What was predicted elsewhere cannot be served by llmtl.
    """
    if any(isinstance(item, AllZero) for item in decision.cautions):
        return "Next: look at some answers beside their references before anything else."
    if decision.rule is Rule.ALONE:
        return "Next: add a baseline, and decide again."
    if decision.verdict is Verdict.INCONCLUSIVE:
        return _to_settle(decision)
    if decision.target is None:
        level = _level(decision, Metric(decision.metric), kind)
        being = "being " if Metric(decision.metric) in SHARES else ""
        return (
            f"No target was set. Next: decide whether {being}{level} is good enough for your use, then "
            f"{'serve it with llmtl serve' if servable else 'put it to use'}."
        )
    return {
        True: "Next: serve it with llmtl serve, and try it in the playground." if servable else "Next: put it to use.",
        False: "It is the best that was found, and not yet good enough. Next: label more examples or try a larger "
        "model, and use it meanwhile only where a person checks its answers.",
        None: "Next: label more test examples to show that it reaches the target, and watch its answers until then.",
    }[decision.target_met]


def _to_settle(decision: Decision) -> str:
    more = decision.more_test_examples
    if more is None:
        return "Next: label more examples, or use the better bet and watch its answers."
    further = wording.plural(more, "more test example")
    if more > _HOPELESS * decision.n_test:
        return f"Settling it would take about {further}. Next: use the better bet, and watch its answers."
    return f"Next: label about {further} and decide again."


def _level(decision: Decision, metric: Metric, kind: Kind | None) -> str:
    result = decision.result(decision.winner)
    return how_right(metric, (result.test or result.dev).value, kind=kind)
