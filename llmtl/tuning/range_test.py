"""Find a learning rate by a range test: the rate rises step by step on a copy of the model, and the loss is watched.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186. The rate is a tenth of the one at
which the smoothed loss is lowest (Howard & Gugger 2020, "Deep Learning for Coders", chapter 5): there it still falls
fast, and the lowest point is close to divergence. Not covered: schedules, and which batch the rate is for (the job's).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

STEPS = 40
"""Steps of a range test; each multiplies the rate by 10 ** (4 / 39), about 1.27."""
SPAN = 100.0
"""The rates go from the usual rate divided by this to that times this."""
SHARE_OF_TIME = 0.1
"""The part of the time that is left which a range test may take."""
FEWEST_POINTS = 10
_SMOOTHING = 0.7
"""Weight of the past in the running mean of losses: about 3 steps of 40."""
_LOST = 4.0
"""A test ends once the smoothed loss is above this times its lowest (fastai's rule)."""

RateLosses = tuple[tuple[float, float], ...]
"""The rate of each step, and the training loss of its batch before the step."""


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured, and the rate that follows, None where nothing does."""

    points: RateLosses
    chosen: float | None


def rates_around(usual: float) -> list[float]:
    """List the rates of the steps: evenly spaced by their logarithm."""
    return [usual / SPAN * SPAN ** (2 * step / (STEPS - 1)) for step in range(STEPS)]


def smoothed(losses: Sequence[float]) -> list[float]:
    """Compute the running mean of losses, corrected for its start at zero (as Adam's moments are)."""
    mean, found = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        found.append(mean / (1 - _SMOOTHING**step))
    return found


def rate_from(points: RateLosses) -> float | None:
    """Take a tenth of the rate at the lowest smoothed loss; None where there are few points or the loss never fell."""
    if len(points) < FEWEST_POINTS:
        return None
    means = smoothed([loss for _, loss in points])
    lowest = means.index(min(means))
    return points[lowest][0] / 10 if lowest > 0 else None


def run_test(usual: float, train: Callable[[TrainerCallback], None], *, deadline: float | None) -> RangeTest:
    """Run a range test around the usual rate; `train` trains a copy with the callback for at least `STEPS` steps."""
    until = None if deadline is None else monotonic() + SHARE_OF_TIME * (deadline - monotonic())
    rising = _RisingRate(rates_around(usual), until)
    train(rising)
    points = tuple(rising.points)
    return RangeTest(points, rate_from(points))


class _RisingRate(TrainerCallback):
    """Sets the rate before each step, and ends training when the loss has left or the time is up."""

    def __init__(self, rates: Sequence[float], until: float | None) -> None:
        self.points: list[tuple[float, float]] = []
        self._rates = rates
        self._until = until

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the rate of every group, in the proportions that they have."""
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = group["initial_lr"] / args.learning_rate * self._rates[state.global_step]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for the loss of this step."""
        control.should_log = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> TrainerControl:
        """Note the loss; stop where it is lost."""
        if not logs or "loss" not in logs:
            return control
        loss = logs["loss"]
        if math.isfinite(loss):
            self.points.append((self._rates[state.global_step - 1], loss))
            means = smoothed([each for _, each in self.points])
        late = self._until is not None and monotonic() >= self._until
        over = state.global_step >= len(self._rates)
        if over or late or not math.isfinite(loss) or means[-1] > _LOST * min(means):
            control.should_training_stop = True
        return control
