"""Expected total costs in words: the reason of a verdict that rests on them, and how the choice was made by them.

Not covered: what is said where nobody knows what an error costs (`wrong_answers`), verdicts on scores (`rules`).
"""

from typing import Protocol

from llmtl.decision.outcome import Decision, Verdict
from llmtl.decision.totals import ErrorCostChange, ExpectedTotals, Saving
from llmtl.errors import RunError
from llmtl.numerals import MINUS
from llmtl.report import wording
from llmtl.report.metric_words import listed
from llmtl.report.wrong_answers import per_error


class Told(Protocol):
    """A decision, and on how much evidence it rests, in words."""

    @property
    def decision(self) -> Decision:
        """The decision."""

    @property
    def on_test(self) -> str:
        """On how many examples."""


def chosen_by_total(decision: Decision, totals: ExpectedTotals) -> str:
    """Say how dev made the choice where the cost of an error is known."""
    name = decision.choice.strategy
    row = next(item for item in totals.strategies if item.strategy == name)
    return (
        f"Before test was opened, dev chose {name}, which is expected to cost least in all: "
        f"{wording.usd(row.usd_total)} over {wording.plural(totals.requests, 'request')} {at_cost(totals)}, "
        f"{wording.usd(row.usd_errors)} of it for errors (95% band {_band(row.ci95)}); "
        f"it is the cheapest with a probability of {wording.chance_in_words(row.cheapest)}."
    )


def at_cost(totals: ExpectedTotals) -> str:
    """Say at which cost of errors: `with a wrong answer at 3 cents`."""
    if totals.by_label:
        return f"with errors priced by label, others at {per_error(totals.usd_per_error)}"
    return f"with a wrong answer at {per_error(totals.usd_per_error)}"


def lower_total(case: Told) -> tuple[str, str]:
    """Give the reason of `adopt` and `baseline`: a lower total is shown."""
    decision, totals = case.decision, totals_of(case.decision)
    first, *others = totals.savings
    told = f"{at_cost(totals)}, {case.on_test} {saved(first)}"
    if decision.verdict is Verdict.BASELINE:
        return "", f"Use {decision.winner}: {told}."
    also = f" It is also shown to cost less in all than {listed([item.b for item in others])}." if others else ""
    return f"Adopt {decision.winner}: ", f"{told}.{also}"


def totals_tied(case: Told) -> tuple[str, str]:
    """Give the reason of a tie."""
    decision, totals = case.decision, totals_of(case.decision)
    names = [totals.savings[0].a, *(item.b for item in totals.savings)]
    return "", (
        f"{listed(names)} cannot be told apart by what they cost in all: {at_cost(totals)}, {case.on_test} "
        f"{saved(totals.savings[0])}. Take {_best(decision)}."
    )


def totals_open(case: Told) -> tuple[str, str]:
    """Give the reason where test shows no lower total."""
    decision, totals = case.decision, totals_of(case.decision)
    return "Too close to call: ", (
        f"{at_cost(totals)}, {case.on_test} {saved(totals.savings[0])}, which shows neither to cost less in all. More "
        f"labelled test examples would narrow it. Until then: {_best(decision)}."
    )


def total_contradicted(case: Told) -> tuple[str, str]:
    """Give the reason where test shows another strategy to cost less than the choice."""
    decision, totals = case.decision, totals_of(case.decision)
    first = totals.savings[0]
    return "", (
        f"Dev and test disagree: dev chose {first.b}, but {at_cost(totals)}, {case.on_test} {saved(first)}. "
        f"Choosing {first.a} as if test had shown it would be choosing on test; label more examples and decide again. "
        f"Until then: {_best(decision)}."
    )


def saved(item: Saving) -> str:
    """Say by how much one total is expected to be below another."""
    less = item.usd >= 0
    low, high = item.ci95 if less else (-item.ci95[1], -item.ci95[0])
    chance = item.probability if less else 1 - item.probability
    word = "less" if less else "more"
    return (
        f"{item.a} is expected to cost {wording.usd(abs(item.usd))} {word} in all than {item.b} "
        f"(95% band {_signed(low)} to {_signed(high)} {word}; {wording.chance_in_words(chance)} likely to cost {word})"
    )


def error_cost_change(change: ErrorCostChange) -> str:
    """Say at which cost of an error another strategy would be expected to cost least."""
    where = "more" if change.above else "less"
    return (
        f"If a wrong answer cost {where} than {per_error(change.usd_per_error)}, "
        f"{change.strategy} would be expected to cost least in all."
    )


def totals_of(decision: Decision) -> ExpectedTotals:
    """Take the totals on test that a verdict rests on; raises `RunError` where there are none."""
    totals = decision.expected_totals
    if totals is None or not totals.savings:
        raise RunError("The decision rests on total costs that it does not hold; run the decision again.")
    return totals


def _best(decision: Decision) -> str:
    return f"{decision.winner}, which is expected to cost least on dev and test together"


def _band(ends: tuple[float, float]) -> str:
    return f"{wording.usd(ends[0])} to {wording.usd(ends[1])}"


def _signed(usd: float) -> str:
    return f"{MINUS}{wording.usd(-usd)}" if usd < 0 else wording.usd(usd)
