"""Let a trainer of transformers go on from a save point: what of it is saved, when, and how it is put back.

The trainer itself skips the examples that were seen and reads optimizer, schedule and random states
(`resume_from_checkpoint`); here are the trained weights, whatever they are, and the losses since it last told of them,
which it forgets. The outcome is that of a training nobody interrupted, bit for bit on a CPU. Not covered: the files
(`llmtl.unfinished.save_points`), what else is known of a training.
"""

import math
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from safetensors.torch import load_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from llmtl.unfinished.kept_state import (
    WEIGHTS,
    put_back,
    read_optimizer,
    read_random,
    trained,
    write_states,
    write_weights,
)
from llmtl.unfinished.save_points import SavePoint, SavePoints, TrainingProgress


class TrainerProgress(TrainingProgress, Protocol):
    """What is known of a trainer: `summed_loss` sums the training losses of the steps behind `summed_from`."""

    @property
    def summed_loss(self) -> float:
        """The sum."""

    @property
    def summed_from(self) -> int:
        """The step behind which it begins."""


ProgressT = TypeVar("ProgressT", bound=TrainerProgress)


class StateKeeper(Generic[ProgressT]):
    """What a trainer that saves its state where `save_points` are given has besides; to be named before the trainer."""

    save_points: SavePoints[ProgressT] | None = None
    model: Any
    state: Any
    control: Any
    optimizer: Any
    lr_scheduler: Any
    _tr_loss: Any
    _globalstep_last_logged: int

    def so_far(self, mark: str) -> ProgressT:
        """Say what happened up to this step."""
        raise NotImplementedError

    def go_on(self: Any, point: SavePoint[ProgressT] | None) -> Any:
        """Train to the end, from the save point if there is one."""
        if self.save_points is not None:
            self.add_callback(_Saver(self, self.save_points, point))
        return self.train(resume_from_checkpoint=str(point.state) if point is not None else None)

    def put_back_losses(self, so_far: ProgressT) -> None:
        """Go on summing the losses where that stopped; the trainer has begun anew with 0."""
        self._tr_loss += so_far.summed_loss
        self._globalstep_last_logged = so_far.summed_from

    def write_more(self, folder: Path) -> None:
        """Write what a trainer has besides."""

    def read_more(self, folder: Path) -> None:
        """Read what `write_more` wrote."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the state, unless training ends with this step or has diverged."""
        del model, trial
        points = self.save_points
        if points is None or self.control.should_training_stop or not math.isfinite(float(self._tr_loss)):
            return
        points.save(self.so_far(points.mark), self._write_state)

    def _write_state(self, folder: Path) -> None:
        write_weights(trained(self.model), folder / WEIGHTS)
        self.write_more(folder)
        write_states(folder, optimizer=self.optimizer, schedule=self.lr_scheduler)
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Put the trained weights back into the model's own tensors, which the optimizer will hold."""
        del model
        folder = Path(resume_from_checkpoint)
        put_back(self.model, load_file(folder / WEIGHTS))
        self.read_more(folder)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_optimizer(Path(checkpoint), optimizer=self.optimizer, schedule=self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_random(Path(checkpoint))


class _Saver(TrainerCallback, Generic[ProgressT]):
    """Asks for a save point when it is time for one."""

    def __init__(
        self, trainer: StateKeeper[ProgressT], points: SavePoints[ProgressT], begun: SavePoint[ProgressT] | None
    ) -> None:
        self._trainer = trainer
        self._points = points
        self._begun = begun

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put back what the trainer forgot."""
        if self._begun is not None:
            self._trainer.put_back_losses(self._begun.so_far)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Ask for a save point, which is made after this step's measurements."""
        control.should_save = self._points.due()
        return control
