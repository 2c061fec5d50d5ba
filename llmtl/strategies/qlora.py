"""The `qlora` strategy: fine-tune the run's model on train, keep the best adapter by dev loss, serve it zero-shot.

Training text and served prompt come from the same template. Training sees the base model in four bits, and chooses its
checkpoint by the dev loss there; the predictor puts the adapter on the base model as the engine holds it, and dev and
test scores are measured on that. Rounding matters most for tiny models: for one of 3M parameters and 128 messages, the
two agreed on 106 and 111 labels after two trainings, of which the predictor had 4 and 3 more right. Not covered: full
fine-tuning, adapters other than LoRA, merging (`llmtl.serving`).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from llmtl.engines.checkpoint import CheckpointInfo, fetch_checkpoint, inspect_checkpoint
from llmtl.errors import RunError
from llmtl.prompting.predictors import PromptedPredictor, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.strategy import FitContext, Predictor, Role
from llmtl.tuning.config import QloraConfig
from llmtl.tuning.examples import each_reference, fitting, require_answers
from llmtl.tuning.learning_rate import rate_for_hidden_size

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from llmtl.tuning.training import Job, Outcome

ADAPTER_FOLDER = "adapter"
WEIGHTS_FILE = "adapter_model.safetensors"


@dataclass(frozen=True)
class Qlora:
    """The strategy; `callbacks` are given to the trainer beside the library's own."""

    config: QloraConfig = field(default_factory=QloraConfig)
    callbacks: tuple["TrainerCallback", ...] = ()

    @property
    def name(self) -> str:
        """Return `qlora`."""
        return "qlora"

    @property
    def role(self) -> Role:
        """Return the tuning role."""
        return Role.TUNING

    def fit(self, context: FitContext) -> Predictor:
        """Return the tuned model as a zero-shot predictor; the adapter lies in the context's folder.

        Raises `TrainingError` when no training example keeps its answer, or when even one example at a time exhausts
        the memory.
        """
        from llmtl.engines.transformers.quiet import quiet

        with quiet():  # bitsandbytes logs a warning on import when an optional package is missing
            from llmtl.tuning.training import train

        start = monotonic()
        job = self._job(context, start)
        context.release_engines()  # a GPU that trains the model in 4 bits may not hold it in 16 bits beside that
        outcome = train(job)
        digest = _sha256(context.folder / ADAPTER_FOLDER)
        state = {
            "adapter": ADAPTER_FOLDER,
            "sha256": digest,
            "config": self.config.model_dump(mode="json"),
            "learning_rate": job.learning_rate,
            "best_step": outcome.best.step,
        }
        details = self._details(context, job, outcome) | {"train_seconds": monotonic() - start}
        return _predictor(context, state | {"details": details})

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor of a stored adapter, without training.

        Raises `RunError` when the adapter in the context's folder is missing or not the one that was trained.
        """
        folder = context.folder / state["adapter"]
        if not (folder / WEIGHTS_FILE).is_file():
            raise RunError(
                f"The adapter folder '{folder}' has no {WEIGHTS_FILE}; run the recipe again with a new --out."
            )
        if _sha256(folder) != state["sha256"]:
            raise RunError(f"The adapter in '{folder}' is not the one that was trained; run the recipe again.")
        return _predictor(context, state)

    def _job(self, context: FitContext, start: float) -> "Job":
        """Return what is to be trained: tokenized examples, the learning rate and the limits."""
        from llmtl.engines.transformers.loading import load_tokenizer
        from llmtl.tuning.training import Job

        info = inspect_checkpoint(context.model.name, context.model.revision)
        tokenizer = load_tokenizer(context.model)
        template = Template(context.task, context.load_engine(None))
        longest = min(self.config.max_length or info.context_length, info.context_length)
        given = each_reference(context.train)
        train = fitting(given, template, tokenizer, max_length=longest)
        require_answers(train, total=len(given), max_length=longest, context_length=info.context_length)
        dev = fitting(context.dev, template, tokenizer, max_length=longest)
        _report_dropped(
            context, (len(given) - len(train), len(given)), (len(context.dev) - len(dev), len(context.dev)), longest
        )
        seconds = context.budget.train_seconds
        return Job(
            checkpoint=fetch_checkpoint(context.model.name, context.model.revision),
            tokenizer=tokenizer,
            train=train,
            dev=dev,
            config=self.config,
            learning_rate=self._learning_rate(info),
            folder=context.folder / ADAPTER_FOLDER,
            seed=context.seed,
            deadline=None if seconds is None else start + seconds,
            progress=context.progress,
            base_name=context.model.name,
            callbacks=self.callbacks,
        )

    def _learning_rate(self, info: CheckpointInfo) -> float:
        """Return the configured learning rate, or the one the hidden-size rule gives."""
        return self.config.learning_rate or rate_for_hidden_size(info.hidden_size)

    def _details(self, context: FitContext, job: "Job", outcome: "Outcome") -> dict[str, Any]:
        """Return the JSON-able facts of a training."""
        given = self.config.learning_rate is not None
        return {
            "learning_curve": [asdict(point) for point in outcome.curve],
            "best_step": outcome.best.step,
            "stopped_by": outcome.stopped_by,
            "epochs": outcome.curve[-1].epoch,
            "learning_rate": job.learning_rate,
            "learning_rate_from": "recipe" if given else "hidden-size rule",
            "batch": outcome.batch,
            "accumulation": outcome.accumulation,
            "train_examples": len(job.train),
            "dropped_train_examples": len(each_reference(context.train)) - len(job.train),
            "dropped_dev_examples": len(context.dev) - len(job.dev),
            "trained_tokens": outcome.trained_tokens,
            "peak_memory_gib": outcome.peak_gib,
        }


def _predictor(context: FitContext, state: Mapping[str, Any]) -> PromptedPredictor:
    """Return the zero-shot predictor over the engine with the stored adapter."""
    from llmtl.engines.transformers.quiet import quiet

    with quiet():  # PEFT imports bitsandbytes, too
        engine = context.load_engine(context.folder / state["adapter"])
    template = Template(context.task, engine)
    return prompt_predictor(context.task, engine, template, train=context.train, state=state, details=state["details"])


def _report_dropped(context: FitContext, train: tuple[int, int], dev: tuple[int, int], longest: int) -> None:
    """Say how many examples (dropped, of all) are left out as longer than `longest` tokens, if any are."""
    for name, (dropped, total) in (("training", train), ("dev", dev)):
        if dropped:
            context.progress.say(
                f"Fine-tuning leaves out {dropped} of {total} {name} examples: with the prompt they are longer than "
                f"{longest} tokens."
            )


def _sha256(folder: Path) -> str:
    """Return the SHA-256 of the adapter's weights, in hexadecimal."""
    with (folder / WEIGHTS_FILE).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
