"""Train a sentence encoder by sentence-transformers' trainer: any loss over rows of texts, within a time limit.

Nothing is printed: progress goes to the caller. A training that lasts keeps its state where it is given save points,
and goes on from there after it was killed. Not covered: which rows and which loss (`llmtl.encoders.contrastive`),
keeping the best of several trainings (the strategies).
"""

import hashlib
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from safetensors.torch import load_file

from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import TrainingError
from llmtl.progress import Advance
from llmtl.quiet import own_randomness, quiet
from llmtl.store import digest, versions
from llmtl.unfinished.kept_state import WEIGHTS, put_back, trained, write_weights
from llmtl.unfinished.save_points import SavePoints
from llmtl.unfinished.trainer_state import StateKeeper


@dataclass(frozen=True)
class TrainingPlan:
    """How to train; it ends at `until`, by `perf_counter`, where that comes first.

    The learning rate rises from 0 over the share `warmup` of the steps, and falls linearly to 0 over the others.
    `in_order` takes the rows as they come, and not shuffled. `words` says whether the table of word vectors, about half
    of a small encoder, is trained, too.
    """

    learning_rate: float
    epochs: int
    batch_size: int
    warmup: float
    weight_decay: float
    seed: int
    until: float | None = None
    in_order: bool = False
    words: bool = True

    def steps(self, rows: int) -> int:
        """Count the steps of training on so many rows."""
        return self.epochs * -(-rows // self.batch_size)


@dataclass(frozen=True)
class Trained:
    """How far training came: steps done and planned, and the mean loss of the steps that were done.

    `earlier_seconds` were spent in processes that were killed, where this one went on.
    """

    steps: int
    planned: int
    loss: float
    earlier_seconds: float = 0.0


@dataclass(frozen=True)
class RowsSoFar:
    """A training up to a step; `mark` says whose it is, `loss` is the mean loss where it has ended, else None."""

    mark: str
    step: int
    seconds: float
    summed_loss: float
    summed_from: int
    loss: float | None


def save_points_in(
    folder: Path,
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    plan: TrainingPlan,
    *,
    say: Callable[[str], None],
) -> SavePoints[RowsSoFar]:
    """Find in `folder` where the state of a training is kept; the mark is of everything that its weights depend on."""
    mark = {
        "packages": versions(),
        "plan": repr(replace(plan, until=None)),
        "rows": {name: list(column) for name, column in rows.items()},
        "model": [(name, _sha256(each)) for name, each in encoder.model.named_parameters()],
        "device": encoder.device,
    }
    return SavePoints(folder, RowsSoFar, mark=digest(mark), say=say)


def train(
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    loss: Callable[[Any], Any],
    plan: TrainingPlan,
    *,
    advance: Advance,
    save_points: SavePoints[RowsSoFar] | None = None,
) -> Trained:
    """Train the encoder in place; `loss` makes the loss of its model, and each column of `rows` but `label` is texts.

    With `save_points` a training that was killed goes on, and one that had ended is only put back. Raises
    `TrainingError` where memory or numbers give out.
    """
    from accelerate.utils.memory import should_reduce_batch_size

    words = encoder.model[0].auto_model.get_input_embeddings()
    with quiet(), own_randomness(), tempfile.TemporaryDirectory() as folder:
        words.requires_grad_(plan.words)
        try:
            steps, mean, earlier = _trained(encoder, rows, loss, plan, folder, advance=advance, save_points=save_points)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not should_reduce_batch_size(error):
                raise
            raise TrainingError(
                f"Tuning the encoder on {plan.batch_size} rows at once exhausts the memory; lower 'batch_size'."
            ) from error
    words.requires_grad_(True)
    encoder.model.eval()
    if not math.isfinite(mean) or not np.isfinite(encoder.encode([""])).all():
        raise TrainingError(f"Tuning the encoder diverged at a learning rate of {plan.learning_rate:g}; lower it.")
    return Trained(steps, plan.steps(len(next(iter(rows.values())))), mean, earlier)


def _trained(
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    loss: Callable[[Any], Any],
    plan: TrainingPlan,
    folder: str,
    *,
    advance: Advance,
    save_points: SavePoints[RowsSoFar] | None,
) -> tuple[int, float, float]:
    """Train; give steps, their mean loss, and the seconds that were spent before this process."""
    point = save_points.latest() if save_points is not None else None
    if point is not None and point.so_far.loss is not None:
        put_back(encoder.model, load_file(point.state / WEIGHTS))
        advance(point.so_far.step)
        return point.so_far.step, point.so_far.loss, point.so_far.seconds
    if save_points is not None and point is None:
        save_points.clear()
    began, earlier = perf_counter(), point.so_far.seconds if point else 0.0
    trainer = _trainer(encoder, rows, loss, plan, folder)
    trainer.save_points, trainer.began = save_points, began - earlier
    trainer.watch(advance, None if plan.until is None else plan.until - earlier)
    advance(point.so_far.step if point else 0)
    trainer.go_on(point)
    steps = int(trainer.state.global_step)
    mean = float(trainer._total_loss_scalar) / max(1, steps)  # its own mean is over the steps of this process
    if save_points is not None and save_points.lasted() and math.isfinite(mean):
        ended = RowsSoFar(save_points.mark, steps, perf_counter() - trainer.began, 0.0, steps, mean)
        save_points.save(ended, lambda state: write_weights(trained(encoder.model), state / WEIGHTS))
    return steps, mean, earlier


def _trainer(
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    loss: Callable[[Any], Any],
    plan: TrainingPlan,
    folder: str,
) -> Any:
    """Make sentence-transformers' trainer, without checkpoints of its own, model card, reports and printing."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler
    from transformers import PrinterCallback, TrainerCallback

    class Watcher(TrainerCallback):
        """Shows progress and ends training in time."""

        def __init__(self, advance: Advance, until: float | None) -> None:
            self._advance, self._until = advance, until

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._advance(1)
            if self._until is not None and perf_counter() >= self._until:
                control.should_training_stop = True

    class QuietTrainer(StateKeeper[RowsSoFar], SentenceTransformerTrainer):
        """Writes no model card, which would look at all rows."""

        began: float

        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            del default_args_dict

        def get_batch_sampler(self, dataset: Any, batch_size: int, drop_last: bool, *rest: Any, **others: Any) -> Any:
            if plan.in_order:
                return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)
            return super().get_batch_sampler(dataset, batch_size, drop_last, *rest, **others)

        def watch(self, advance: Advance, until: float | None) -> None:
            self.add_callback(Watcher(advance, until))

        def so_far(self, mark: str) -> RowsSoFar:
            step, seconds = int(self.state.global_step), perf_counter() - self.began
            return RowsSoFar(mark, step, seconds, float(self._tr_loss), self._globalstep_last_logged, None)

    arguments, model = _arguments(plan, folder, on_gpu=encoder.device == "cuda"), encoder.model
    data = Dataset.from_dict({name: list(column) for name, column in rows.items()})
    trainer = QuietTrainer(model=model, args=arguments, train_dataset=data, loss=loss(model))
    trainer.remove_callback(PrinterCallback)
    return trainer


def _sha256(weight: Any) -> str:
    return hashlib.sha256(weight.detach().cpu().numpy().tobytes()).hexdigest()


def _arguments(plan: TrainingPlan, folder: str, *, on_gpu: bool) -> Any:
    from sentence_transformers import SentenceTransformerTrainingArguments

    return SentenceTransformerTrainingArguments(
        output_dir=folder,
        num_train_epochs=plan.epochs,
        per_device_train_batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        warmup_steps=plan.warmup,
        weight_decay=plan.weight_decay,
        use_cpu=not on_gpu,
        bf16=on_gpu,
        dataloader_pin_memory=on_gpu,
        seed=plan.seed,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
