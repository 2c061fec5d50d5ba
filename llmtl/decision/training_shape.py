"""The shape of a training: how early dev learned, and how it ended.

A model that brings what the task needs learns most of what it ever learns in its first passes; one that does not
climbs slowly. What is followed is the score on dev where epochs were compared by one, and the dev loss otherwise. The
thresholds of pace and ending were set before any curve was looked at. Not covered: whether pre-training was worth it,
which only a control shows (`llmtl.decision.transfer`); the words (`llmtl.report`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from llmtl.findings import TrainingCurve, TrainingPoint

EARLY_EPOCHS = 2.0
"""The passes in which a model that fits learns most; the usual fine-tuning takes 2 to 4 in all (Devlin et al. 2019,
"BERT", appendix A.3)."""
FAST_SHARE, SLOW_SHARE = 0.8, 0.5
"""Of all that dev gained, the part after two passes. Gains that fade by the same factor in each pass reach 80% then
when a pass leaves 45% of the way, and 50% when it leaves 71%; a steady climb over ten passes reaches 20%."""
LATE_GAIN = 0.05
"""What the last pass may add, as a part of all that was gained, in a training that has levelled off."""
FEWEST_STEPS = 20
"""Steps in two passes below which a slow beginning says little of the model: with few examples there are few steps, of
which warm-up takes a part, and it is steps that fine-tuning wants (Mosbach et al. 2021, "On the Stability of
Fine-tuning BERT", arXiv:2006.04884, section 6). 160 examples make so many steps of 16."""
FEWEST_EPOCHS = 3.0
"""Passes before which nobody can say whether dev levelled off after two."""
WORSE = 1.05
"""Dev loss at the end over its least from which a training over-fits: the generalisation loss GL of Prechelt (1998),
"Early Stopping - But When?", beyond 5%."""
LEAST_LOSS_CHANGE = 0.02
"""Nats by which the dev loss must rise besides, and fall for a training that learned: the right answers' probabilities
change by 2% (geometric mean). Small losses double by chance."""
BLOWN_UP = 1.1
"""Train loss at the end over that of the first measurement from which a training diverges: it does worse on what it
learns from than at its beginning, by more than batches differ."""


class LearningPace(StrEnum):
    """How much of its gain on dev a training had after two passes."""

    FAST = "fast"
    STEADY = "steady"
    SLOW = "slow"
    NOTHING_LEARNED = "nothing learned"  # dev was never better than before, the dev loss never clearly so
    UNKNOWN = "unknown"  # too short, without dev, or the beginning is not known


class TrainingEnd(StrEnum):
    """How a training ended."""

    LEVEL = "level"
    CLIMBING = "climbing"  # dev was still getting better: not converged
    OVERFITTED = "over-fitted"  # dev loss rose while train loss fell
    OVERCONFIDENT = "over-confident"  # the same, and the score on dev held (Guo et al. 2017, arXiv:1706.04599, sec. 3)
    DIVERGED = "diverged"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TrainingShape:
    """How early dev learned and how training ended.

    `early` is the part of all that dev gained that was there after two passes (0 to 1), None where `pace` is unknown or
    nothing was learned. `early_steps` counts the steps of those passes, `epochs` is how long training went, `metric`
    what was followed; empty for the dev loss.
    """

    pace: LearningPace
    ending: TrainingEnd
    early: float | None
    epochs: float
    early_steps: int
    metric: str = ""

    @property
    def few_steps(self) -> bool:
        """Tell whether two passes were so few steps that a slow beginning says little of the model."""
        return self.early_steps < FEWEST_STEPS

    @property
    def transferred(self) -> bool:
        """Tell whether the curve looks as that of a model which brought what the task needs."""
        return self.pace is LearningPace.FAST and self.ending in (
            TrainingEnd.LEVEL,
            TrainingEnd.OVERFITTED,
            TrainingEnd.OVERCONFIDENT,
        )


def shape_of(curve: TrainingCurve, *, start_score: float | None = None) -> TrainingShape:
    """Name the shape of a training curve.

    `start_score` is what an answer that never changes scores on dev: where a curve of scores begins. A curve of losses
    begins with its own measurement before the first step.
    """
    points = sorted(curve.points, key=lambda point: point.step)
    metric = curve.dev_metric if any(point.dev_score is not None for point in points) else ""
    goodness = _goodness(points, by_score=bool(metric), start_score=start_score)
    epochs = points[-1].epoch if points else 0.0
    ending = _ending(points, goodness)
    if ending is TrainingEnd.OVERFITTED and metric and _holds(goodness):
        ending = TrainingEnd.OVERCONFIDENT
    pace, early = _pace(goodness, epochs, least=0.0 if metric else LEAST_LOSS_CHANGE)
    early_steps = max((point.step for point in points if point.epoch <= EARLY_EPOCHS), default=0)
    return TrainingShape(pace, ending, early, epochs, early_steps, metric)


_Goodness = list[tuple[float, float]]
"""Epoch and what dev says, the higher the better, in order; the first is the beginning where that is known."""


def _goodness(points: Sequence[TrainingPoint], *, by_score: bool, start_score: float | None) -> _Goodness:
    if not by_score:
        return [(each.epoch, -each.dev_loss) for each in points if each.dev_loss is not None]
    found = [(each.epoch, each.dev_score) for each in points if each.dev_score is not None]
    before = any(epoch == 0 for epoch, _ in found)
    return found if before or start_score is None else [(0.0, start_score), *found]


def _pace(goodness: _Goodness, epochs: float, *, least: float) -> tuple[LearningPace, float | None]:
    """Say how much of what dev gained in all, if that is more than `least`, was there after two passes."""
    if not goodness or goodness[0][0] > 0 or epochs < FEWEST_EPOCHS:
        return LearningPace.UNKNOWN, None
    start = goodness[0][1]
    gained = max(value for _, value in goodness) - start
    if gained <= least:
        return LearningPace.NOTHING_LEARNED, None
    early = max(value for epoch, value in goodness if epoch <= EARLY_EPOCHS) - start
    share = max(0.0, early / gained)
    return (
        LearningPace.FAST if share >= FAST_SHARE else LearningPace.SLOW if share < SLOW_SHARE else LearningPace.STEADY
    ), share


def _ending(points: Sequence[TrainingPoint], goodness: _Goodness) -> TrainingEnd:
    """Say how training ended, the worst first."""
    after = [point for point in points if point.step > 0]
    train = [point.train_loss for point in after]
    if not after:
        return TrainingEnd.UNKNOWN
    known = [loss for loss in train if loss is not None]
    if len(known) < len(train) or (len(known) > 1 and known[-1] > BLOWN_UP * known[0]):
        return TrainingEnd.DIVERGED
    measured = [point.dev_loss for point in after]
    dev = [loss for loss in measured if loss is not None]
    if dev and len(dev) < len(measured):  # dev was measured, and was not a finite number
        return TrainingEnd.DIVERGED
    if len(dev) > 1 and known[-1] < known[0] and dev[-1] > WORSE * min(dev) and dev[-1] > min(dev) + LEAST_LOSS_CHANGE:
        return TrainingEnd.OVERFITTED
    if len(goodness) < 3 or goodness[0][0] > _a_pass_before(goodness):
        return TrainingEnd.UNKNOWN
    return TrainingEnd.CLIMBING if _still_gains(goodness) else TrainingEnd.LEVEL


def _holds(goodness: _Goodness) -> bool:
    """Say whether the score at the end is the best but for a few percent of all that was gained."""
    best = max(value for _, value in goodness)
    return best - goodness[-1][1] <= LATE_GAIN * (best - goodness[0][1])


def _still_gains(goodness: _Goodness) -> bool:
    """Say whether the last pass ended higher than ever, by more than a few percent of all that was gained."""
    last = goodness[-1][1]
    best = max(value for epoch, value in goodness if epoch <= _a_pass_before(goodness))
    return last > best and last - best > LATE_GAIN * (last - goodness[0][1])


def _a_pass_before(goodness: _Goodness) -> float:
    """Say where the last pass began, at the beginning at the earliest."""
    return max(0.0, goodness[-1][0] - 1) + 1e-6
