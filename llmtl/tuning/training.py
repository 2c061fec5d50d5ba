"""Train with QLoRA: TRL's SFT trainer over tokenized examples, restarted with smaller batches if memory runs out.

The same code trains on a GPU (bfloat16, paged 8-bit AdamW) and on a CPU (float32, AdamW). Not covered: several devices.
"""

import gc
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from datasets import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig

from llmtl.errors import TrainingError
from llmtl.findings import TrainingPoint, TriedStrength
from llmtl.json_and_yaml import parse_json
from llmtl.progress import Progress
from llmtl.quiet import own_randomness, quiet
from llmtl.seals import UNFINISHED
from llmtl.store import digest, versions
from llmtl.tuning.answers_only import answers_only
from llmtl.tuning.averaging import BestWeights
from llmtl.tuning.config import TrainingConfig
from llmtl.tuning.consolidation import Consolidation
from llmtl.tuning.group_rates import GroupRates
from llmtl.tuning.needed_memory import DecoderSizes, MemoryForecast, StepLoad, forecast
from llmtl.tuning.resuming import AnswerTrainer, ResumableTrainer, SoFar
from llmtl.tuning.shared_prefix import SHARING_PARAMETERS, SharedPrefixCollator
from llmtl.tuning.step_memory import Collator, fitting_batch, load_of
from llmtl.tuning.tokenized import TokenizedExample
from llmtl.tuning.trained_weights import TrainedWeights
from llmtl.tuning.watcher import DIVERGED, GIB, TrainingLimits, Watcher
from llmtl.unfinished.save_points import SavePoint, SavePoints

CHECKPOINTING_PARAMETERS = 1_000_000_000
"""From this size on, GPU training recomputes activations: about 20% slower, and far less memory (TRL, `SFTConfig`)."""


@dataclass(frozen=True)
class TrainingJob:
    """Everything that one training needs; `deadline` is a `time.monotonic()` value or None.

    `checkpoint` is the base model's folder and `base_name` what the recipe calls it. `weights` says how it is loaded,
    which of its weights are trained, and what of it is kept in `folder`. The trainer gets `callbacks` besides the
    library's own. With `resumable` its state is kept beside `folder` until the step of the store is finished, and a
    training that was killed goes on; what it took before counts towards the deadline. Around `usual_rate`, by default
    the job's own, a learning rate is searched where one is. `rehearsed` are passages of general text, trained on among
    the examples. Where the strength of consolidation is chosen, general English may become harder to predict by that
    share, `most_forgetting`. `what` is what people read while it goes on.
    """

    checkpoint: Path
    tokenizer: PreTrainedTokenizerBase
    train: tuple[TokenizedExample, ...]
    dev: tuple[TokenizedExample, ...]
    config: TrainingConfig
    weights: TrainedWeights
    learning_rate: float
    folder: Path
    seed: int
    deadline: float | None
    progress: Progress
    base_name: str
    callbacks: tuple[TrainerCallback, ...] = ()
    resumable: bool = False
    usual_rate: float | None = None
    rehearsed: tuple[TokenizedExample, ...] = ()
    most_forgetting: float = 0.0
    what: str = "Fine-tuning"

    @property
    def learned(self) -> tuple[TokenizedExample, ...]:
        """List all that is trained on."""
        return (*self.train, *self.rehearsed)

    @property
    def beside(self) -> Any:
        """Say, in values that JSON has, what else the trained weights depend on."""

    def trainer(
        self, model: Any, batch: int, accumulation: int, *, callbacks: list[TrainerCallback]
    ) -> ResumableTrainer:
        """Make a trainer for `model` as it was loaded."""
        return trainer_of(self, model, batch, accumulation, callbacks=callbacks)

    def load(self, batch: int, collator: Collator, *, recomputed: bool) -> StepLoad:
        """Say what is computed at once in the heaviest batch."""
        return load_of((*self.learned, *self.dev), batch, collator, recomputed=recomputed)


@dataclass(frozen=True)
class TrainingOutcome:
    """The outcome of a training: the curve, the point whose weights were kept, why it ended and what it used.

    `batch` examples are computed at once and `accumulation` such batches make a step. `earlier_seconds` is what was
    spent in processes that were killed, where this one went on. Where the average of the weights after `averaged_steps`
    was kept instead of the best, `averaged_dev_loss` is its dev loss. `range_test` has the rates that were tried on a
    copy and the training loss at each (`llmtl.tuning.rate_search`), `strengths` what choosing that of consolidation
    measured (`llmtl.tuning.strength_search`).
    """

    curve: tuple[TrainingPoint, ...]
    best: TrainingPoint
    stopped_by: str
    batch: int
    accumulation: int
    peak_gib: float
    trained_tokens: int
    learning_rate: float
    earlier_seconds: float = 0.0
    averaged_steps: tuple[int, ...] = ()
    averaged_dev_loss: float | None = None
    range_test: tuple[tuple[float, float], ...] = ()
    strengths: tuple[TriedStrength, ...] = ()


def train(job: TrainingJob, *, may_leave: bool = False) -> TrainingOutcome:
    """Train, leave the best weights in `job.folder`, and return the outcome.

    With `may_leave` training ends at its first measurement where that shows that it diverges. Where the memory is
    forecast not to do, or runs out, half the batch is computed at once with twice the accumulation, so that a step
    still sees the same examples. Raises `TrainingError` when a single example does not fit.
    """
    batch = min(job.config.batch_size, len(job.train))
    whole = batch
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    points = save_points_of(job) if job.resumable else None
    point = points.latest() if points else None
    if points and point:
        batch = point.so_far.batch
        point.restore_best(job.folder)
        job.progress.say(f"{job.what} goes on after step {point.so_far.step}, where it was interrupted.")
    else:
        if points:
            points.clear()
        batch = _fitting(job, batch)
    while True:
        with quiet(), own_randomness(), answers_only():
            outcome = _attempt(job, (batch, math.ceil(whole / batch)), points, point, may_leave=may_leave)
        free_memory()
        if outcome is not None:
            _report_end(job, outcome)
            return outcome
        if batch == 1:
            raise TrainingError(
                f"Training runs out of memory with a single example at a time; {job.weights.less}, use a smaller "
                "model, or a machine with more memory."
            )
        batch, point = batch // 2, None
        if points:
            points.clear()
        job.progress.say(
            f"Out of memory: training starts again with {batch} example(s) at a time, and a step still takes {whole}."
        )


def memory_needed(job: TrainingJob, batch: int) -> MemoryForecast:
    """Forecast the peak of the job's memory with so many examples computed at once."""
    config = parse_json((job.checkpoint / "config.json").read_bytes())
    sizes, copies, part = DecoderSizes.of(config), job.config.average_best, job.weights.trained
    collator = _collator(job, sizes.parameters, config.get("sliding_window"))
    recomputed = torch.cuda.is_available() and sizes.parameters >= CHECKPOINTING_PARAMETERS
    load, held = job.load(batch, collator, recomputed=recomputed), job.config.ewc != 0
    trained = replace(part, copies=part.copies + (copies if copies > 1 else 0), consolidated=held)
    return forecast(sizes, trained, load, device=_device())


def _collator(job: TrainingJob, parameters: int, window: int | None) -> SharedPrefixCollator:
    # the noise of NEFTune goes by the length of a row
    sharing = parameters >= SHARING_PARAMETERS and job.config.neftune_alpha is None
    return SharedPrefixCollator(sharing=sharing, window=window)


def _fitting(job: TrainingJob, batch: int) -> int:
    """Find how many examples are computed at once."""
    return fitting_batch(
        lambda batch: memory_needed(job, batch), batch, device=_device(), less=job.weights.less, say=job.progress.say
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def save_points_of(job: TrainingJob) -> SavePoints[SoFar]:
    """Find where the training's state is kept; the mark is of everything that the trained weights depend on."""
    files = sorted((path.name, path.stat().st_size) for path in job.checkpoint.iterdir() if path.is_file())
    mark = {
        "packages": versions(),
        "config": job.config.model_dump(mode="json"),
        "weights": repr(job.weights),
        "learning_rate": job.learning_rate,
        "seed": job.seed,
        "model": (job.base_name, files),
        "train": [(each.input_ids, each.labels) for each in job.learned],
        "dev": [(each.input_ids, each.labels) for each in job.dev],
        "device": _device(),
    }
    mark |= {} if job.beside is None else {"beside": job.beside}
    folder = job.folder.parent / UNFINISHED
    return SavePoints(folder, SoFar, mark=digest(mark), say=job.progress.say, best=job.folder)


def _report_end(job: TrainingJob, outcome: TrainingOutcome) -> None:
    """Say that the time limit ended training, or that training diverged, if so."""
    if outcome.stopped_by == DIVERGED:
        job.progress.say(f"{job.what} diverges at a learning rate of {job.learning_rate:.1e}, and is left.")
        return
    if any(point.step > 0 and point.train_loss is None for point in outcome.curve):
        job.progress.say(
            f"{job.what} diverged at a learning rate of {job.learning_rate:.1e}; the weights of step "
            f"{outcome.best.step} are kept. Lower 'learning_rate'."
        )
    if outcome.stopped_by == "budget":
        last = outcome.curve[-1]
        job.progress.say(
            f"{job.what} stopped at its time limit after {last.epoch:.1f} of {job.config.max_epochs} epochs; "
            f"the weights of step {outcome.best.step} are kept."
        )
    if outcome.averaged_steps:
        steps = ", ".join(map(str, outcome.averaged_steps))
        job.progress.say(
            f"The average of the weights of steps {steps} is kept: its dev loss is {outcome.averaged_dev_loss:.4f}, "
            f"that of step {outcome.best.step} {outcome.best.dev_loss:.4f}."
        )


def _attempt(
    job: TrainingJob,
    shape: tuple[int, int],
    points: SavePoints[SoFar] | None,
    point: SavePoint[SoFar] | None,
    *,
    may_leave: bool,
) -> TrainingOutcome | None:
    """Train once with batch and accumulation as `shape` says, from the save point if given; None if memory ran out."""
    batch, accumulation = shape
    earlier = point.so_far.watched.seconds if point else 0.0
    steps = math.ceil(math.ceil(len(job.learned) / batch) / accumulation)
    limits = TrainingLimits(
        steps_between_evaluations=math.ceil(steps / job.config.evaluations_per_epoch),
        patience=job.config.patience,
        deadline=None if job.deadline is None else job.deadline - earlier,
        has_dev=bool(job.dev),
        leave_when_diverging=may_leave,
    )
    try:
        with ExitStack() as stack:
            advance = stack.enter_context(job.progress.stage(job.what, steps * job.config.max_epochs))
            watcher = Watcher(limits, lambda model: job.weights.save(model, job.folder), advance)
            if point:
                watcher.go_on(point.so_far.watched, steps=point.so_far.step)
            trainer = _trainer(job, batch, accumulation, watcher)
            trainer.save_points, trainer.watcher = points, watcher
            trainer.train_from(point)
            averaged = _averaged(job, trainer, watcher)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return None
    if not job.dev:
        job.weights.save(trainer.model, job.folder)
    return TrainingOutcome(
        curve=tuple(watcher.curve),
        best=watcher.best or watcher.curve[-1],
        stopped_by=watcher.stopped_by,
        batch=batch,
        accumulation=accumulation,
        peak_gib=watcher.peak_bytes / GIB,
        trained_tokens=trainer.trained_tokens,
        earlier_seconds=earlier,
        learning_rate=job.learning_rate,
        averaged_steps=averaged[0],
        averaged_dev_loss=averaged[1],
    )


def _averaged(job: TrainingJob, trainer: ResumableTrainer, watcher: Watcher) -> tuple[tuple[int, ...], float | None]:
    """Keep the average of the best weights where the job asks for it and dev says that it is better."""
    best = watcher.best.dev_loss if watcher.best else None
    found = None if best is None else trainer.average_if_better(best)
    if found is None:
        return (), None
    job.weights.save(trainer.model, job.folder)
    return found


def _trainer(job: TrainingJob, batch: int, accumulation: int, watcher: Watcher) -> ResumableTrainer:
    """Make a trainer for the model as it is on disk."""
    model = job.weights.load(job.checkpoint, device=_device())
    return job.trainer(model, batch, accumulation, callbacks=[watcher, *job.callbacks])


def trainer_of(
    job: TrainingJob, model: Any, batch: int, accumulation: int, *, callbacks: list[TrainerCallback]
) -> AnswerTrainer:
    """Make a trainer for `model` as it was loaded, with a fresh adapter where one is trained."""
    parameters = model.num_parameters()
    trainer = AnswerTrainer(
        model=model,
        args=_arguments(job, batch, accumulation, large=parameters >= CHECKPOINTING_PARAMETERS),
        data_collator=_collator(job, parameters, getattr(model.config, "sliding_window", None)),
        train_dataset=as_dataset(job.learned),
        eval_dataset=as_dataset(job.dev) if job.dev else None,
        processing_class=job.tokenizer,
        peft_config=job.weights.adapter,
        callbacks=callbacks,
    )
    trainer.rates = GroupRates.of(job.config)
    if job.dev and job.config.average_best > 1:
        trainer.best_weights = BestWeights(job.config.average_best)
        trainer.add_callback(trainer.best_weights)
    trainer.remove_callback(PrinterCallback)
    job.weights.prepare(trainer.model, base_name=job.base_name)
    strength = job.config.ewc
    assert not isinstance(strength, str)  # `llmtl.tuning.strength_search` has put a number there
    if strength > 0:
        trainer.consolidation = Consolidation.of(trainer.model, job.tokenizer, strength=strength)
    return trainer


class _OneDeviceConfig(SFTConfig):
    """The settings of a trainer whose model sits on one device; TRL would spread it over all GPUs that it sees."""

    @property
    def n_gpu(self) -> int:
        """Count the GPUs that are trained on."""
        return int(min(1, super().n_gpu))


def _arguments(job: TrainingJob, batch: int, accumulation: int, *, large: bool) -> SFTConfig:
    """Make the trainer's settings: those of all trainings, and no packing."""
    shared = arguments(job, batch, accumulation, large=large)
    return _OneDeviceConfig(dataset_kwargs={"skip_prepare_dataset": True}, packing=False, **shared)


def arguments(job: TrainingJob, batch: int, accumulation: int, *, large: bool) -> dict[str, Any]:
    """List the settings that all trainings share: no checkpoints, no reports, no network, no printing."""
    on_gpu, config = torch.cuda.is_available(), job.config
    eight_bits = on_gpu and config.ewc == 0  # `Consolidation` reads the moments
    return {
        "output_dir": str(job.folder),
        "max_length": None,
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": config.max_epochs,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "linear" if config.schedule == "linear" else "constant_with_warmup",
        "warmup_steps": config.warmup_fraction,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
        "neftune_noise_alpha": config.neftune_alpha,
        "optim": "paged_adamw_8bit" if eight_bits else "adamw_torch",
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "gradient_checkpointing": on_gpu and large,
        "dataloader_pin_memory": on_gpu,
        "seed": job.seed,
        "eval_on_start": bool(job.dev),
        "eval_strategy": "no",
        "save_strategy": "no",
        "logging_strategy": "no",
        "logging_nan_inf_filter": False,
        "report_to": [],
        "disable_tqdm": True,
    }


def as_dataset(examples: Sequence[TokenizedExample]) -> Dataset:
    """Put the examples in the pre-tokenized form that TRL takes as it is: rows of `input_ids` and `labels`.

    `SharedPrefixCollator` makes batches of them.
    """
    rows: list[dict[str, Any]] = [
        {"input_ids": list(example.input_ids), "labels": list(example.labels)} for example in examples
    ]
    return Dataset.from_list(rows)


def is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    """Say whether `error` means that an allocation failed, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(should_reduce_batch_size(error))


def free_memory() -> None:
    """Free the memory that a failed attempt held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
