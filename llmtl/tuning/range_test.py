"""Find a learning rate by a range test: the rate rises step by step on a copy of the model, and the loss is watched.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186. The rate is a tenth of the one at
which the smoothed loss is lowest (Howard & Gugger 2020, "Deep Learning for Coders", chapter 5): there it still falls
fast, and the lowest point is close to divergence. Under a time limit the first steps are timed, and say once whether
the whole test fits, or half as many steps over the same rates, or none: what a test finds that the clock cut off hangs
on where that was. Not covered: schedules, and which batch the rate is for (the job's).
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
TIMED_STEPS = 3
"""Steps at the lowest rate that are timed first where there is a time limit, and are no points; the first warms up."""
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


def rates_around(usual: float, steps: int | None = None) -> list[float]:
    """List the rates of the steps, by default `STEPS`: evenly spaced by their logarithm."""
    count = steps or STEPS
    return [usual / SPAN * SPAN ** (2 * step / (count - 1)) for step in range(count)]


def steps_in(seconds: float, each: float) -> int:
    """Say how many steps a test has in so many seconds, where one takes `each`: all, half of them, or none."""
    return next((steps for steps in (STEPS, STEPS // 2) if steps * each <= seconds), 0)


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
    """Run a range test around the usual rate; `train` trains a copy with the callback, for `TIMED_STEPS + STEPS` steps.

    Without time for it there are no points.
    """
    until = None if deadline is None else monotonic() + SHARE_OF_TIME * (deadline - monotonic())
    rising = _RisingRate(usual, until)
    train(rising)
    points = tuple(rising.points)
    return RangeTest(points, rate_from(points))


class _RisingRate(TrainerCallback):
    """Sets the rate before each step, and ends training when the loss has left or all rates were tried."""

    def __init__(self, usual: float, until: float | None) -> None:
        self.points: list[tuple[float, float]] = []
        self._usual = usual
        self._until = until
        self._moments: list[float] = []
        self._before = 0 if until is None else TIMED_STEPS
        self._rates = rates_around(usual)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the rate of every group, in the proportions that they have."""
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = group["initial_lr"] / args.learning_rate * self._rates[max(0, self._at(state))]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for the loss of this step; behind the timed ones, say how many there will be."""
        control.should_log = True
        if self._until is not None and state.global_step <= self._before:
            self._moments.append(now := monotonic())
            if state.global_step == self._before:
                each = (self._moments[-1] - self._moments[0]) / (len(self._moments) - 1)
                self._rates = rates_around(self._usual, steps) if (steps := steps_in(self._until - now, each)) else []
                control.should_training_stop = not self._rates
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
        at = self._at(state)
        if not logs or "loss" not in logs or at < 1:
            return control
        loss = logs["loss"]
        if math.isfinite(loss):
            self.points.append((self._rates[at - 1], loss))
            means = smoothed([each for _, each in self.points])
        if at >= len(self._rates) or not math.isfinite(loss) or means[-1] > _LOST * min(means):
            control.should_training_stop = True
        return control

    def _at(self, state: TrainerState) -> int:
        """Count the steps behind those that are timed."""
        return state.global_step - self._before
