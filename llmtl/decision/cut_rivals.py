"""Which strategies that their time limit stopped might have won with more time.

One might where it was still getting better on dev when it was stopped: nobody knows how far that would have gone. So
might a training of which nobody knows whether it was: the interval of its score holds for other examples, not for more
epochs. Where a part of train was left out, the error would at best fall to the share of it that train was read: theory
has errors fall with the number of labels to the power of -1 at most (Hestness et al. 2017, arXiv:1712.00409). Where the
ends of long texts, a part of a grid or of the prompts to try were left out, the fit itself was finished, and it might
where the interval of its score reaches the winner's, which is rough. One whose dev score had stopped improving would
not, nor would a dearer one where the winner leaves no room to be better by more than the margin. A cascade has no fit
of its own: its members stand for it.

Not covered: the words for it (`llmtl.report`), dividing time so that nothing is cut (`llmtl.pipeline.shares`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from llmtl.findings import Cut, Unit
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval
from llmtl.strategy import Role

HIGHEST = 1.0
"""No metric goes above it."""


@dataclass(frozen=True)
class CutRival:
    """A strategy that its time limit stopped after `cuts`, and that might have won with more time.

    `gap` is the winner's score less its own, on test or, of one that was not tested, on dev (`split`). `improving` says
    that dev was still getting better. `more_seconds` is what the rest of one fit would take at the same speed; None
    where that is not known.
    """

    strategy: str
    cuts: tuple[Cut, ...]
    gap: float
    split: str
    improving: bool
    more_seconds: float | None
    kind: Literal["cut_rival"] = "cut_rival"


def cut_rivals(
    dev: Sequence[Evaluation],
    test: Mapping[str, Evaluation],
    winner: str,
    *,
    metric: str,
    barred: Collection[str],
    may_be_cheaper: Callable[[str, str], bool],
    room_for: float | None,
) -> tuple[CutRival, ...]:
    """List those that might have won.

    `barred` break a constraint. `room_for` is the margin that a dearer one must beat the winner by; None where more
    than the score decides.
    """
    on_dev = {item.strategy: item for item in dev}
    found: list[CutRival] = []
    for item in dev:
        name = item.strategy
        if name == winner or not item.cuts or item.role is Role.CASCADE or name in barred:
            continue
        tested = name in test and winner in test
        mine, best = ((test if tested else on_dev)[each].scores[metric] for each in (name, winner))
        improving = any(each.improving for each in item.cuts)
        room = room_for is None or best.value + room_for < HIGHEST or may_be_cheaper(name, winner)
        if open_ended(item.cuts, mine, best.value) and room:
            split = "test" if tested else "dev"
            found.append(CutRival(name, item.cuts, best.value - mine.value, split, improving, _more_seconds(item)))
    return tuple(found)


def open_ended(cuts: Sequence[Cut], score: Interval, best: float) -> bool:
    """Say whether more time might make it the best: it was improving, or nobody knows and it is within reach."""
    return any(each.improving or (each.improving is None and _within_reach(each, score.high) >= best) for each in cuts)


def _within_reach(cut: Cut, high: float) -> float:
    """Bound the score that the rest might bring to a fit whose interval ends at `high`."""
    match cut.unit:
        case Unit.EPOCHS | Unit.STEPS:
            return HIGHEST
        case Unit.EXAMPLES:
            return HIGHEST - (HIGHEST - high) * cut.done / cut.planned
        case Unit.WINDOWS | Unit.SETTINGS | Unit.PROMPTS:
            return high


def _more_seconds(item: Evaluation) -> float | None:
    """Forecast what the rest of one fit takes, at the speed of what was done."""
    left = [each.planned / each.done - 1 for each in item.cuts if each.done > 0]
    return max(left) * item.train_seconds if item.train_seconds and len(left) == len(item.cuts) else None
