"""Watch training: the learning curve, early stopping, the time limit, the best weights and the progress bar.

One `transformers.TrainerCallback`; it asks the trainer to log and evaluate, and never computes a score itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import psutil
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llmtl.findings import TrainingPoint
from llmtl.progress import Advance

GIB = 2**30
DIVERGED = "divergence"


@dataclass(frozen=True)
class TrainingLimits:
    """When to measure and when to stop: `deadline` is a `time.monotonic()` value or None.

    With `leave_when_diverging` training stops where its first measurement shows that the learning rate is too high.
    """

    steps_between_evaluations: int
    patience: int
    deadline: float | None
    has_dev: bool
    leave_when_diverging: bool = False


@dataclass(frozen=True)
class Watched:
    """What a watcher knows after a step; `without_progress` counts the measurements since the best.

    `seconds` is what the training took so far, attempts that were killed included.
    """

    seconds: float
    curve: tuple[TrainingPoint, ...]
    best: TrainingPoint | None
    without_progress: int
    train_loss: float | None
    peak_bytes: int


class Watcher(TrainerCallback):
    """Records one training attempt and stops it in time; `save` keeps the weights that dev finds best."""

    def __init__(self, limits: TrainingLimits, save: Callable[[Any], None], advance: Advance) -> None:
        self.curve: list[TrainingPoint] = []
        self.best: TrainingPoint | None = None
        self.stopped_by = "max epochs"
        self.peak_bytes = 0
        self._limits = limits
        self._save = save
        self._advance = advance
        self._start = monotonic()
        self._train_loss: float | None = None
        self._without_progress = 0

    def watched(self) -> Watched:
        """Say what is known, for another watcher to go on with."""
        return Watched(
            seconds=monotonic() - self._start,
            curve=tuple(self.curve),
            best=self.best,
            without_progress=self._without_progress,
            train_loss=_finite(self._train_loss),
            peak_bytes=self.peak_bytes,
        )

    def go_on(self, watched: Watched, *, steps: int) -> None:
        """Take over from the watcher of an attempt that was killed after so many steps."""
        self.curve, self.best = list(watched.curve), watched.best
        self.peak_bytes = watched.peak_bytes
        self._start = monotonic() - watched.seconds
        self._train_loss = watched.train_loss
        self._without_progress = watched.without_progress
        self._advance(steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for a measurement when one is due, and for a stop when the time is up."""
        self._advance(1)
        self.peak_bytes = max(self.peak_bytes, _memory_in_use())
        out_of_time = self._limits.deadline is not None and monotonic() >= self._limits.deadline
        last = out_of_time or state.global_step >= state.max_steps
        if last or state.global_step % self._limits.steps_between_evaluations == 0:
            control.should_log = True
            control.should_evaluate = self._limits.has_dev
        if out_of_time and state.global_step < state.max_steps:
            self.stopped_by = "budget"
            control.should_training_stop = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the training loss; without dev, a log is a point of the curve."""
        if not logs or "loss" not in logs:
            return
        self._train_loss = logs["loss"]
        if not self._limits.has_dev:
            self._record(state, {})

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> TrainerControl:
        """Keep the best weights; ask for a stop once the dev loss has not improved for `patience` measurements."""
        self.peak_bytes = max(self.peak_bytes, _memory_in_use())
        point = self._record(state, metrics or {})
        if self.best is None or _better(point, self.best):
            self.best, self._without_progress = point, 0
            self._save(kwargs["model"])
            return control
        if self._limits.leave_when_diverging and len(self.curve) == 2 and diverges(*self.curve):
            self.stopped_by = DIVERGED
            control.should_training_stop = True
            return control
        self._without_progress += 1
        if self._without_progress >= self._limits.patience and not control.should_training_stop:
            self.stopped_by = "early stopping"
            control.should_training_stop = True
        return control

    def _record(self, state: TrainerState, metrics: dict[str, float]) -> TrainingPoint:
        """Append a point to the curve and return it."""
        point = TrainingPoint(
            step=state.global_step,
            epoch=float(state.epoch or 0),
            train_loss=_finite(self._train_loss),
            dev_loss=_finite(metrics.get("eval_loss")),
            dev_token_accuracy=metrics.get("eval_mean_token_accuracy"),
            seconds=monotonic() - self._start,
            dev_score=metrics.get("eval_score"),
        )
        self.curve.append(point)
        return point


def diverges(before: TrainingPoint, first: TrainingPoint) -> bool:
    """Say whether training makes the model worse: its losses are not numbers, or twice that of the untrained model."""
    if first.train_loss is None or first.dev_loss is None:
        return True
    return before.dev_loss is not None and min(first.train_loss, first.dev_loss) > 2 * before.dev_loss


def _better(new: TrainingPoint, old: TrainingPoint) -> bool:
    """Say whether dev is better at `new`: by the score of the answers where that is measured, else by the loss."""
    if new.dev_score is not None and old.dev_score is not None:
        return new.dev_score > old.dev_score
    return _lower(new.dev_loss, old.dev_loss)


def _lower(new: float | None, old: float | None) -> bool:
    """Say whether `new` is a number and lower than `old`."""
    return new is not None and (old is None or new < old)


def _finite(value: float | None) -> float | None:
    """Return `value`, or None if it is infinite or not a number: JSON has neither."""
    return value if value is not None and math.isfinite(value) else None


def _memory_in_use() -> int:
    """Measure bytes: the peak of the GPU allocator if there is a GPU, else the resident memory of this process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return int(psutil.Process().memory_info().rss)
