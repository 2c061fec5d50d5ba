"""Train a sentence encoder by sentence-transformers' trainer: any loss over rows of texts, within a time limit.

Nothing is written while training, and nothing is printed: progress goes to the caller. Not covered: which rows and
which loss (`llmtl.encoders.contrastive`), keeping the best of several trainings (the strategies).
"""

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from llmtl.encoders.sentence import SentenceEncoder
from llmtl.errors import TrainingError
from llmtl.progress import Advance
from llmtl.quiet import own_randomness, quiet


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
    """How far training came: steps done and planned, and the mean loss of the steps that were done."""

    steps: int
    planned: int
    loss: float


def train(
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    loss: Callable[[Any], Any],
    plan: TrainingPlan,
    *,
    advance: Advance,
) -> Trained:
    """Train the encoder in place; `loss` makes the loss of its model, and each column of `rows` but `label` is texts.

    Raises `TrainingError` where memory or numbers give out.
    """
    from accelerate.utils.memory import should_reduce_batch_size

    words = encoder.model[0].auto_model.get_input_embeddings()
    with quiet(), own_randomness(), tempfile.TemporaryDirectory() as folder:
        words.requires_grad_(plan.words)
        trainer = _trainer(encoder, rows, loss, plan, folder)
        steps = trainer.watch(advance, plan.until)
        try:
            mean = float(trainer.train().training_loss)
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
    return Trained(len(steps), plan.steps(len(next(iter(rows.values())))), mean)


def _trainer(
    encoder: SentenceEncoder,
    rows: Mapping[str, Sequence[Any]],
    loss: Callable[[Any], Any],
    plan: TrainingPlan,
    folder: str,
) -> Any:
    """Make sentence-transformers' trainer, without checkpoints, model card, reports and printing."""
    from datasets import Dataset
    from sentence_transformers import SentenceTransformerTrainer
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler
    from transformers import PrinterCallback, TrainerCallback

    class Watcher(TrainerCallback):
        """Shows progress, notes steps and ends training in time."""

        def __init__(self, advance: Advance, until: float | None) -> None:
            self.steps = list[int]()
            self._advance, self._until = advance, until

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.steps.append(int(state.global_step))
            self._advance(1)
            if self._until is not None and perf_counter() >= self._until:
                control.should_training_stop = True

    class QuietTrainer(SentenceTransformerTrainer):
        """Writes no model card, which would look at all rows."""

        def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
            del default_args_dict

        def get_batch_sampler(self, dataset: Any, batch_size: int, drop_last: bool, *rest: Any, **others: Any) -> Any:
            if plan.in_order:
                return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)
            return super().get_batch_sampler(dataset, batch_size, drop_last, *rest, **others)

        def watch(self, advance: Advance, until: float | None) -> list[int]:
            watcher = Watcher(advance, until)
            self.add_callback(watcher)
            return watcher.steps

    arguments = _arguments(plan, folder, on_gpu=encoder.device == "cuda")
    model = encoder.model
    data = Dataset.from_dict({name: list(column) for name, column in rows.items()})
    trainer = QuietTrainer(model=model, args=arguments, train_dataset=data, loss=loss(model))
    trainer.remove_callback(PrinterCallback)
    return trainer


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
