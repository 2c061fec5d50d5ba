"""What pre-training is worth: a tuned model against the same architecture trained from random weights, on test.

Transfer may hurt (Wang et al. 2019, "Characterizing and Avoiding Negative Transfer", arXiv:1811.09751): both ways are
tested, by the paired test of every comparison, corrected for none, since the choice does not rest on it. Not covered:
the words for it (`llmtl.report`), how many labels it is worth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.paired import PairedDifference


class Worth(StrEnum):
    """What a control shows."""

    HELPS = "helps"
    HURTS = "hurts"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Transfer:
    """`strategy` against `control`, which began from random weights: the difference of their scores on test."""

    strategy: str
    control: str
    worth: Worth
    difference: PairedDifference


def transfers(
    test: Mapping[str, Evaluation],
    control_of: Callable[[str], str | None],
    compare: Callable[[Evaluation, Evaluation], PairedDifference],
    *,
    alpha: float,
) -> tuple[Transfer, ...]:
    """Compare every tuned model on test with its control; `control_of` names what a strategy is the control of."""
    found = []
    for control, measured in test.items():
        strategy = control_of(control)
        if strategy is None or strategy not in test:
            continue
        difference = compare(test[strategy], measured)
        shown = difference.p <= alpha
        worth = Worth.NOT_SHOWN if not shown else Worth.HELPS if difference.difference > 0 else Worth.HURTS
        found.append(Transfer(strategy, control, worth, difference))
    return tuple(found)
