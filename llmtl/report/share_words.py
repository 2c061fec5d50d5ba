"""Shares of inputs that can be left to a strategy in words: the reason of a verdict that rests on them, and the choice.

Not covered: what was confirmed of each strategy (`promises`), verdicts on scores (`rules`).
"""

from collections.abc import Sequence

from llmtl.decision.config import Goal
from llmtl.decision.evidence import Evidence, share_evidence_of
from llmtl.decision.outcome import Decision, Purpose
from llmtl.decision.promise import Automated, Promise
from llmtl.report import promises, wording
from llmtl.report.claims import on_models
from llmtl.report.metric_words import Words, between, excludes_zero, interval_name, listed, p_text, shown_ends
from llmtl.report.total_words import Told
from llmtl.strategy import Role
from llmtl.task import Metric

POINTS = Words(Metric.ACCURACY)
"""Differences of shares are written as those of right answers are: in points."""


def by_share(decision: Decision) -> bool:
    """Say whether the choice was made by the share that can be left to a strategy."""
    return decision.choice.goal is Goal.AUTOMATE


def gaps_of(decision: Decision) -> Words:
    """Return how margins are written: in points of share where that is what was chosen by."""
    return POINTS if by_share(decision) else Words(Metric(decision.metric))


def chosen_by_share(decision: Decision) -> str:
    """Say how dev made the choice."""
    choice = decision.choice
    name, regret = choice.strategy, choice.expected_regret
    confirms = wording.share(choice.expected_shares[name])
    expected = f"test is expected to confirm that {confirms} of inputs can be left to it {_wrong(decision)}"
    if len(regret) == 1:
        return f"Before test was opened, dev chose {name}, the only strategy that could be chosen; {expected}."
    return (
        f"Before test was opened, dev chose {name}, of {len(regret)} strategies the one that is expected to forgo "
        f"least of the share of inputs that can be left to it: {POINTS.about(regret[name])}, where a strategy forgoes "
        f"what its share falls short of the largest one, and {POINTS.gap(choice.margin)} if nearly as much can be left "
        f"to a cheaper one; {expected}."
    )


def unable(decision: Decision) -> list[str]:
    """Name the strategies that could not be chosen because they do not say how sure they are."""
    choice = decision.choice
    if not by_share(decision):
        return []
    return [item.name for item in decision.strategies if item.name not in choice.expected_regret and not item.broken]


def why_unable(decision: Decision) -> str:
    """Say why those could not be chosen, as a sentence; empty where there are none."""
    names = unable(decision)
    if not names:
        return ""
    one = len(names) == 1
    return (
        f"{listed(names)} could not be chosen: nothing can be left to {'a strategy' if one else 'strategies'} whose "
        "predictions do not say how sure they are."
    )


def comparisons(decision: Decision, told: dict[Purpose, str]) -> list[str]:
    """Return a sentence for each comparison of shares; `told` says why one is made."""
    evidence = share_evidence_of(decision)
    return [
        f"Left to it on test: {_against(decision, evidence, item.a, item.b)}: {told[item.purpose]}."
        for item in evidence.comparisons
    ]


def larger_share(case: Told) -> tuple[str, str]:
    """Give the reason of `adopt`."""
    decision, evidence = case.decision, share_evidence_of(case.decision)
    winner, baseline = decision.winner, decision.choice.best_baseline
    rivals = [b for _, b in decision.hangs_on]
    beaten = [name for name in rivals if name != baseline and evidence.shown_better(winner, name)]
    against = baseline or (beaten or rivals)[0]
    title = ", the best baseline" if baseline else ""
    told = f"{case.on_test} {_against(decision, evidence, winner, against, title)}. {_promise(decision, winner)}"
    if not baseline and not beaten:
        margin = POINTS.gap(decision.choice.margin)
        return "", (
            f"Adopt {winner}, the cheapest: {told} Nothing that it was compared with can be left over {margin} more."
        )
    tail = f" More can be left to it than to {listed(beaten)}, too." if beaten and baseline else ""
    return f"Adopt {winner}: ", f"{told}{tail}"


def shares_tied(case: Told) -> tuple[str, str]:
    """Give the reason of a tie."""
    decision, evidence = case.decision, share_evidence_of(case.decision)
    chosen, rivals = decision.choice.strategy, [rival for _, rival in decision.hangs_on]
    other = decision.winner if decision.winner != chosen else rivals[0]
    return "", (
        f"{listed([chosen, *rivals])} cannot be told apart by how much can be left to them: {case.on_test} "
        f"{_against(decision, evidence, chosen, other)}. Take {_bet(decision)}. {_promise(decision, decision.winner)}"
    )


def share_not_worth_more(case: Told) -> tuple[str, str]:
    """Give the reason of `baseline`."""
    decision, evidence = case.decision, share_evidence_of(case.decision)
    winner = decision.winner
    llm = max((a for a, _ in decision.hangs_on), key=lambda name: decision.choice.expected_shares.get(name, 0.0))
    bound = evidence.at_most(llm, winner) or 0.0
    if evidence.shown_better(winner, llm):
        shown = f"so less can be left to {llm}"
    elif bound <= 0:
        shown = f"so no more can be left to {llm} (one-sided 95% bound)"
    else:
        shown = f"so at most {POINTS.gap(bound)} more can be left to {llm} (one-sided 95% bound)"
    return "", (
        f"Use {winner}, as {_none_more(decision)} by over {POINTS.gap(decision.choice.margin)}: "
        f"{case.on_test} {_against(decision, evidence, llm, winner)}, {shown}. "
        f"{_promise(decision, winner)}"
    )


def no_sure_llm(case: Told) -> tuple[str, str]:
    """Give the reason where no strategy with a pre-trained model could be chosen."""
    decision = case.decision
    others = [item for item in decision.strategies if item.role is not Role.BASELINE]
    barred = [item.name for item in others if item.broken]
    silent = [item.name for item in others if not item.broken]
    parts = [f"{listed(barred)} excluded by the constraints"] if barred else []
    parts += [f"{listed(silent)} gave no confidence"] if silent else []
    why = f"could be chosen ({'; '.join(parts)})" if parts else "was measured"
    return (
        "",
        f"Use {decision.winner}: no strategy with a pre-trained model {why}. {_promise(decision, decision.winner)}",
    )


def shares_open(case: Told) -> tuple[str, str]:
    """Give the reason where test does not show which of two strategies more can be left to."""
    decision, evidence = case.decision, share_evidence_of(case.decision)
    a, b = decision.hangs_on[0]
    return "Too close to call: ", (
        f"{case.on_test} {_against(decision, evidence, a, b)}, which neither shows that more can be left to it nor "
        f"rules out that it is more by over {POINTS.gap(decision.choice.margin)}. More labelled test examples would "
        f"narrow it. Until then: {_bet(decision)}. {_promise(decision, decision.winner)}"
    )


def share_contradicted(case: Told) -> tuple[str, str]:
    """Give the reason where test shows that more can be left to another strategy than the choice."""
    decision, evidence = case.decision, share_evidence_of(case.decision)
    a, b = decision.hangs_on[0]
    return "", (
        f"Dev and test disagree: dev chose {b}, but {case.on_test} {_against(decision, evidence, a, b)}. Taking {a} "
        "for shown now would be choosing on test; label more examples and decide again. Until then: "
        f"{_bet(decision)}. {_promise(decision, decision.winner)}"
    )


def not_confirmed(case: Told) -> tuple[str, str]:
    """Give the reason where test does not confirm that anything can be left to what would be used."""
    decision = case.decision
    if not decision.hangs_on:
        name = decision.winner
        return "", (
            f"Test does not confirm of any strategy that answers can be left to it {_wrong(decision)}, and without "
            f"that none is recommended. {_promise(decision, name)}"
        )
    would_be, winner = decision.hangs_on[0]
    return "", (
        f"Test does not confirm that anything can be left to {would_be}: {_why(decision, would_be)}. "
        f"Until more is known: {_bet(decision)}. {_promise(decision, winner)}"
    )


def _none_more(decision: Decision) -> str:
    """Say that none of those that were asked is shown to be left more."""
    names = on_models(decision, list(dict.fromkeys(a for a, _ in decision.hangs_on)))
    subject = f"{names[0]} is not" if len(names) == 1 else f"neither {' nor '.join(names)} is"
    return f"{subject} shown to take on more"


def _against(decision: Decision, evidence: Evidence, a: str, b: str, title: str = "") -> str:
    """Return what can be left to two strategies, and how that compares."""
    first, second = (_left(decision, name) for name in (a, b))
    return f"{first} of the inputs can be left to {a} and {second} to {b}{title} ({_more(evidence, a, b)})"


def _more(evidence: Evidence, a: str, b: str) -> str:
    """Say how much more such a test is expected to confirm of a than of b."""
    found, difference = evidence.about(a, b), evidence.difference(a, b)
    if found is None or difference is None:
        return "not compared"
    low, high = shown_ends(found)
    low, high = (low, high) if found.a == a else (-high, -low)
    shown = between(low, high, POINTS.bare, open_at_zero=excludes_zero(found))
    gap = f"{POINTS.gap(abs(difference))} {'more' if difference >= 0 else 'less'}"
    return (
        f"a test like this is expected to confirm {gap} for {a}, {interval_name(found)} {shown}, "
        f"p {p_text(found.p_holm, evidence.alpha)}"
    )


def _left(decision: Decision, name: str) -> str:
    """Return the share that test confirms can be left to a strategy: `46%`, `none`."""
    found = _found(decision, name)
    confirmed = found is not None and found.promise is Promise.SHOWN and bool(found.answered)
    return wording.percent(found.share or 0.0) if found is not None and confirmed else "none"


def _found(decision: Decision, name: str) -> Automated | None:
    return next((item for item in decision.automation if item.strategy == name), None)


def _promise(decision: Decision, name: str) -> str:
    """Return the sentence on what was confirmed of a strategy."""
    found = _found(decision, name)
    return "" if found is None else promises.sentence(found, decision.max_error_automated or 0.0)


def _why(decision: Decision, name: str) -> str:
    found = _found(decision, name)
    return "it was not tested" if found is None else promises.why(found, decision.max_error_automated or 0.0)


def _wrong(decision: Decision) -> str:
    return f"with at most {wording.small_share(decision.max_error_automated or 0.0)} of these answers wrong"


def _bet(decision: Decision) -> str:
    return f"{decision.winner}, the better bet on dev and test together"


def margins(decision: Decision) -> Sequence[str]:
    """Say by what rule dev chose, and how shares are compared on test."""
    return (
        "The choice is the eligible strategy with the least expected regret on dev in the share of inputs that can be "
        f"left to it {_wrong(decision)}: what the share that test is expected to confirm falls short of the largest "
        f"one, plus {POINTS.gap(decision.margin)} where a cheaper strategy lies within that, weighed by how likely "
        "each is (Bayesian bootstrap).",
        "Shares are compared on the same examples by the Bayesian bootstrap, at thresholds that dev fixed and the same "
        "level for all: how much a test like this is expected to confirm. Nothing is recommended of which test did not "
        "confirm its own share.",
    )
