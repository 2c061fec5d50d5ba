"""Let a training go on from a save point: what of transformers' trainer is saved, when, and how it is put back.

The trainer itself skips the examples that were seen and reads optimizer, schedule and random states
(`resume_from_checkpoint`); here are the trained weights, whatever they are, and what it forgets: the losses since it
last told of them, and the tokens. The outcome is that of a training nobody interrupted, bit for bit on a CPU. Not
covered: the files (`llmtl.tuning.save_points`).
"""

import math
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from llmtl.tuning.averaging import BestWeights, average, put_back, trained
from llmtl.tuning.consolidation import ConsolidatingTrainer
from llmtl.tuning.kept_state import read_optimizer, read_random, write_states
from llmtl.tuning.save_points import SavePoint, SavePoints, SoFar
from llmtl.tuning.watcher import Watcher

_WEIGHTS = "trained.safetensors"


class ResumableTrainer(ConsolidatingTrainer):
    """A trainer that saves its state where `save_points` are given, and can go on from one."""

    save_points: SavePoints | None = None
    watcher: Watcher
    best_weights: BestWeights | None = None

    def train_from(self, point: SavePoint | None) -> None:
        """Train to the end, from the save point if there is one."""
        if self.save_points is not None:
            self.add_callback(_Saver(self, self.save_points, point))
        if point is None:
            self.train()
            return
        self.trained_tokens = point.so_far.trained_tokens
        self.args.eval_on_start = False  # that measurement is in the curve
        self.train(resume_from_checkpoint=str(point.state))

    def average_if_better(self, best_loss: float) -> tuple[tuple[int, ...], float] | None:
        """Put the average of the best weights into the model if its dev loss is below `best_loss`.

        Gives the steps that were averaged and their dev loss, or None where the average is not better.
        """
        if self.best_weights is None or len(self.best_weights.kept) < 2:
            return None
        remembered = self.best_weights.kept
        self.remove_callback(self.watcher)  # training has ended: the curve has no further point
        self.remove_callback(self.best_weights)
        put_back(self.model, average(remembered))
        loss = float(self.evaluate()["eval_loss"])
        return (tuple(sorted(each.step for each in remembered)), loss) if loss < best_loss else None

    def so_far(self, mark: str) -> SoFar:
        """Say what happened up to this step."""
        return SoFar(
            mark=mark,
            step=self.state.global_step,
            batch=self.args.per_device_train_batch_size,
            accumulation=self.args.gradient_accumulation_steps,
            watched=self.watcher.watched(),
            summed_loss=float(self._tr_loss),
            summed_from=self._globalstep_last_logged,
            trained_tokens=self.trained_tokens,
        )

    def put_back_losses(self, so_far: SoFar) -> None:
        """Go on summing the losses where that stopped; the trainer has begun anew with 0."""
        self._tr_loss += so_far.summed_loss
        self._globalstep_last_logged = so_far.summed_from

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the state, unless training ends with this step or has diverged."""
        del model, trial
        points = self.save_points
        if points is None or self.control.should_training_stop or not math.isfinite(float(self._tr_loss)):
            return
        points.save(self.so_far(points.mark), self._write_state)

    def _write_state(self, folder: Path) -> None:
        save_file({name: each.contiguous() for name, each in trained(self.model)}, folder / _WEIGHTS)
        if self.best_weights is not None:
            self.best_weights.write(folder)
        write_states(folder, optimizer=self.optimizer, schedule=self.lr_scheduler)
        self.state.save_to_json(str(folder / TRAINER_STATE_NAME))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Put the trained weights back into the model's own tensors, which the optimizer will hold."""
        del model
        put_back(self.model, load_file(Path(resume_from_checkpoint) / _WEIGHTS))
        if self.best_weights is not None:
            self.best_weights.read(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_optimizer(Path(checkpoint), optimizer=self.optimizer, schedule=self.lr_scheduler)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            read_random(Path(checkpoint))


class _Saver(TrainerCallback):
    """Asks for a save point when it is time for one."""

    def __init__(self, trainer: ResumableTrainer, points: SavePoints, begun: SavePoint | None) -> None:
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
