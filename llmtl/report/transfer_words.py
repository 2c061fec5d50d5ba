"""What pre-training is worth, in words.

Not covered: the test (`llmtl.decision.transfer`).
"""

from llmtl.decision.transfer import Transfer, Worth
from llmtl.report.metric_words import Words


def sentence(item: Transfer, words: Words) -> str:
    """Say by how much the tuned model is better or worse than its control, with the interval."""
    found = item.difference
    beside = f"{item.strategy} against {item.control}, the same architecture from random weights"
    ends = f"95% interval {_signed(found.low, words)} to {_signed(found.high, words)}"
    if item.worth is Worth.HELPS:
        return f"Pre-training is worth {words.gap(found.difference)} on test ({beside}; {ends})."
    if item.worth is Worth.HURTS:
        return f"Pre-training hurts here, by {words.gap(-found.difference)} on test ({beside}; {ends})."
    return f"That pre-training helps is not shown: {_signed(found.difference, words)} on test ({beside}; {ends})."


def _signed(value: float, words: Words) -> str:
    written = words.gap(abs(value))
    return f"{'-' if value < 0 and written != words.gap(0.0) else '+'}{written}"
