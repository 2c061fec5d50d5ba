"""What a cascade is, in words: every form of the report says it the same way.

Not covered: how it compares with its members, which is said as of any two strategies.
"""

from collections.abc import Mapping, Sequence

from llmtl.findings import CascadeTrace, FitFinding, finding
from llmtl.report import wording


def sentence(name: str, trace: CascadeTrace) -> str:
    """Return who answers what."""
    answered = wording.percent(1 - trace.passed_on)
    return (
        f"{name}: {trace.first} answers what it gives a probability of at least {trace.threshold:.2f} "
        f"({answered} of dev), {trace.then} the rest."
    )


def told(findings: Mapping[str, Sequence[FitFinding]]) -> tuple[str, ...]:
    """Return who answers what in each cascade, and how all of them were composed and measured; nothing without any."""
    traces = {name: trace for name, found in findings.items() if (trace := finding(found, CascadeTrace)) is not None}
    if not traces:
        return ()
    return (
        *(sentence(name, trace) for name, trace in traces.items()),
        "Cascades are composed of what was measured; no model ran for them. Their threshold passes on least among "
        "those with a dev score at most half a margin below the best. Each part of dev is scored with the threshold "
        "that the other parts chose, so that the search does not flatter the score. They cost what the first member "
        "takes for every request and the second for those that are passed on, and the training and memory of both.",
    )
