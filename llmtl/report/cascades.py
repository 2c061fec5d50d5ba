"""What a cascade is, in words: every form of the report says it the same way.

Not covered: how it compares with its members, which is said as of any two strategies.
"""

from llmtl.decision.outcome import Decision
from llmtl.findings import CascadeTrace
from llmtl.report import wording


def sentence(trace: CascadeTrace) -> str:
    """Say who answers what."""
    answered = wording.percent(1 - trace.passed_on)
    return (
        f"{_called(trace)}: {trace.first} answers what it gives a probability of at least {trace.threshold:.3g} "
        f"({answered} of dev), {trace.then} the rest."
    )


def of_winner(decision: Decision) -> str:
    """Say who answers what in the winner; empty where it is not a cascade."""
    traces = decision.choice.cascades
    return next((sentence(trace) for trace in traces if decision.winner in (trace.name, _called(trace))), "")


def told(decision: Decision) -> tuple[str, ...]:
    """Say who answers what in each cascade, and how all of them were composed and measured; nothing without any."""
    traces = decision.choice.cascades
    if not traces:
        return ()
    return (
        *(sentence(trace) for trace in traces),
        "Cascades are composed of what was measured; no model ran for them. Their threshold passes on least among "
        "those with a dev score at most half a margin below the best. Each part of dev is scored with the threshold "
        "that the other parts chose, so that the search does not flatter the score. They cost what the first member "
        "takes for every request and the second for those that are passed on, and the training and memory of both.",
    )


def _called(trace: CascadeTrace) -> str:
    """Name the cascade by its members, which may be under their titles already."""
    return f"{trace.first}, then {trace.then}"
