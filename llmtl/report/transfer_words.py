"""What pre-training is worth, in words.

Not covered: the test (`llmtl.decision.transfer`), the count of labels (`llmtl.learning_curve.labels_worth`).
"""

from llmtl.decision.transfer import Transfer, Worth
from llmtl.learning_curve.labels_worth import LabelsWorth
from llmtl.report import wording
from llmtl.report.metric_words import Words


def sentence(item: Transfer, words: Words) -> str:
    """Say by how much the tuned model is better or worse than its control, with the interval, and in labels."""
    found = item.difference
    beside = f"{item.strategy} against {item.control}, the same architecture from random weights"
    ends = f"95% interval {_signed(found.low, words)} to {_signed(found.high, words)}"
    if item.worth is Worth.HELPS:
        told = f"Pre-training is worth {words.gap(found.difference)} on test ({beside}; {ends})."
        return " ".join([told, *_in_labels(item.labels), *_cut(item)])
    if item.worth is Worth.HURTS:
        return (
            f"Pre-training hurts here, by {words.gap(-found.difference)} on test ({beside}; {ends}): this is negative "
            "transfer."
        )
    return f"That pre-training helps is not shown: {_signed(found.difference, words)} on test ({beside}; {ends})."


def _in_labels(found: LabelsWorth | None) -> list[str]:
    """Say how many times the labels that is; nothing where the control is ahead on dev."""
    if found is None or found.times == 0:
        return []
    fewest, all_of_them = wording.count(found.smallest), wording.count(found.available)
    if found.low is None:
        return [
            f"It is worth more than {_times(found.most)} the labels: with {fewest}, the fewest tried, {found.strategy} "
            f"is ahead on dev of {found.control} with all {all_of_them} (with a probability of at least 90%)."
        ]
    ends = f"80% interval: {_end(found.low, found)} to {_end(found.high, found)}"
    if found.times is None:
        return [
            f"It is probably worth more than {_times(found.most)} the labels ({ends}): with {fewest}, the fewest, "
            f"{found.strategy} scores more on dev than {found.control} with all {all_of_them}."
        ]
    few = wording.about(found.available / found.times)
    return [
        f"It is worth about {_times(found.times)} the labels ({ends}): with about {few} {found.strategy} scores on dev "
        f"what {found.control} does with all {all_of_them}."
    ]


def _end(times: float | None, found: LabelsWorth) -> str:
    if times is None:
        return f"more than {_times(found.most)}"
    return "nothing" if times == 0 else _times(times)


def _times(factor: float) -> str:
    """Write `16 times`, or `1.6 times` of small ones."""
    return f"{factor:.2g} times" if factor < 10 else f"{factor:.0f} times"


def _cut(item: Transfer) -> list[str]:
    return [f"{item.control} was stopped by its time limit, and more time might narrow that."] * item.control_cut


def _signed(value: float, words: Words) -> str:
    written = words.gap(abs(value))
    return f"{'-' if value < 0 and written != words.gap(0.0) else '+'}{written}"
