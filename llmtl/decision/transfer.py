"""What pre-training is worth: a tuned model against the same architecture trained from random weights, on test.

Transfer may hurt (Wang et al. 2019, "Characterizing and Avoiding Negative Transfer", arXiv:1811.09751): both ways are
tested, by the paired test of every comparison, corrected for none, since the choice does not rest on it. How many
times the labels it is worth comes from the learning curve, where one was measured. Not covered: the words for it
(`llmtl.report`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from llmtl.learning_curve.labels_worth import LabelsWorth
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.paired import PairedDifference


class Worth(StrEnum):
    """What a control shows."""

    HELPS = "helps"
    HURTS = "hurts"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class FewerLabels:
    """The tuned model with `examples` of the `available` training examples against its control with all of them.

    `worth` says whether it is still better, or worse, on the same test texts; `matches` that the whole interval of the
    difference is above minus the margin.
    """

    examples: int
    available: int
    worth: Worth
    matches: bool
    difference: PairedDifference


@dataclass(frozen=True)
class Transfer:
    """`strategy` against `control`, which began from random weights: the difference of their scores on test.

    `labels` says how many times the labels that is worth; None without a learning curve of `strategy`. `control_cut`
    says that the time limit stopped the control while it may still have been getting better. `fewer` is the same
    comparison with about a quarter of train; None where that was not made.
    """

    strategy: str
    control: str
    worth: Worth
    difference: PairedDifference
    labels: LabelsWorth | None = None
    control_cut: bool = False
    fewer: FewerLabels | None = None


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
        worth = _worth(difference, alpha)
        control_cut = any(each.improving is not False for each in measured.cuts)
        found.append(Transfer(strategy, control, worth, difference, control_cut=control_cut))
    return tuple(found)


def fewer_labels(
    difference: PairedDifference, *, examples: int, available: int, alpha: float, margin: float
) -> FewerLabels:
    """Judge the difference between a model tuned on a part of train and its control with all of it."""
    return FewerLabels(examples, available, _worth(difference, alpha), difference.low >= -margin, difference)


def _worth(difference: PairedDifference, alpha: float) -> Worth:
    if difference.p > alpha:
        return Worth.NOT_SHOWN
    return Worth.HELPS if difference.difference > 0 else Worth.HURTS


def with_labels(found: Sequence[Transfer], worth: Sequence[LabelsWorth]) -> tuple[Transfer, ...]:
    """Note beside each difference how many times the labels it is worth, where that was worked out."""
    known = {(item.strategy, item.control): item for item in worth}
    return tuple(replace(item, labels=known.get((item.strategy, item.control))) for item in found)
