"""What a cascade is, in words: every form of the report says it the same way.

Not covered: how it compares with its members, which is said as of any two strategies.
"""

from llmtl.decision.outcome import Decision
from llmtl.findings import CascadeTrace
from llmtl.report import wording


def sentence(trace: CascadeTrace, name: str) -> str:
    """Say who answers what in the cascade of this name."""
    answered = wording.percent(1 - trace.passed_on)
    return (
        f"{name}: {trace.first} answers what it gives a probability of at least {trace.threshold:.3g} "
        f"({answered} of dev), {trace.then} the rest."
    )


def of_winner(decision: Decision) -> str:
    """Say who answers what in the winner; empty where it is not a cascade."""
    told_of = {_name(trace, decision): trace for trace in decision.choice.cascades}
    won = told_of.get(decision.winner)
    return sentence(won, decision.winner) if won else ""


def told(decision: Decision) -> tuple[str, ...]:
    """Say who answers what in each cascade, and how all of them were composed and measured; nothing without any."""
    traces = decision.choice.cascades
    if not traces:
        return ()
    return (
        *(sentence(trace, _name(trace, decision)) for trace in traces),
        "Cascades are composed of what was measured; no model ran for them. Their threshold passes on least among "
        "those with a dev score at most half a margin below the best. Each part of dev is scored with the threshold "
        "that the other parts chose, so that the search does not flatter the score. They cost what the first member "
        "takes for every request and the second for those that are passed on, and the training and memory of both.",
    )


def _name(trace: CascadeTrace, decision: Decision) -> str:
    """Name the cascade as the decision does: by its own name, or by its members' titles."""
    joined = f"{trace.first}, then {trace.then}"
    return joined if any(item.name == joined for item in decision.strategies) else trace.name
