"""A language model's training that can go on where it was killed: what of it is known up to a step.

Not covered: what of transformers' trainer is saved (`llmtl.unfinished.trainer_state`).
"""

from dataclasses import dataclass
from pathlib import Path

from transformers import Trainer

from llmtl.tuning.averaging import BestWeights, average
from llmtl.tuning.consolidation import ConsolidatingTrainer
from llmtl.tuning.watcher import Watched, Watcher
from llmtl.unfinished.kept_state import put_back
from llmtl.unfinished.save_points import SavePoint
from llmtl.unfinished.trainer_state import StateKeeper


@dataclass(frozen=True)
class SoFar:
    """A training up to a step; `mark` says whose it is.

    `batch` and `accumulation` are those of the outcome, and `summed_loss` sums the training losses of the steps behind
    `summed_from`.
    """

    mark: str
    step: int
    batch: int
    accumulation: int
    watched: Watched
    summed_loss: float
    summed_from: int
    trained_tokens: int


class ResumableTrainer(StateKeeper[SoFar], Trainer):
    """A trainer that saves its state where `save_points` are given, and can go on from one; put it before another."""

    trained_tokens = 0
    watcher: Watcher
    best_weights: BestWeights | None = None

    def train_from(self, point: SavePoint[SoFar] | None) -> None:
        """Train to the end, from the save point if there is one."""
        if point is not None:
            self.trained_tokens = point.so_far.trained_tokens
            self.args.eval_on_start = False  # that measurement is in the curve
        self.go_on(point)

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

    def write_more(self, folder: Path) -> None:
        """Write the best weights, where those are averaged."""
        if self.best_weights is not None:
            self.best_weights.write(folder)

    def read_more(self, folder: Path) -> None:
        """Remember the best weights."""
        if self.best_weights is not None:
            self.best_weights.read(folder)


class AnswerTrainer(ResumableTrainer, ConsolidatingTrainer):
    """The trainer that learns references."""
