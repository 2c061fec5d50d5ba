"""Fine-tuning the run's language model on train: the best weights by dev loss are kept, and served zero-shot.

What `qlora`, `lora`, `full` and `hybrid` have in common. Training text and served prompt come from the same template.
The checkpoint is chosen by the dev loss in training; dev and test scores are measured through the engine that serves.
Not covered: which weights are trained (`llmtl.tuning.trained_weights`), the training (`llmtl.tuning.training`), merging
(`llmtl.serving`).
"""

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, ClassVar, TypeVar

from llmtl.engines.protocol import ModelSource
from llmtl.errors import RunError
from llmtl.findings import FitFinding, TrainingCurve, finding
from llmtl.hardware import Hardware
from llmtl.numerals import some_of
from llmtl.packages import TUNING, require
from llmtl.progress import Advance, unwatched
from llmtl.prompting.fitted import PROMPT_FILE, answer_finding, fixed, kept_form
from llmtl.prompting.predictors import answer_room
from llmtl.prompting.template import Template
from llmtl.quiet import quiet
from llmtl.seals import sha256_of_files
from llmtl.store import read_json, write_json
from llmtl.strategy import (
    Facts,
    FitContext,
    Fitted,
    Prediction,
    Predictor,
    PromptServed,
    Role,
    Runs,
    Served,
    Strategy,
)
from llmtl.task import Draw, Input
from llmtl.tuning.config import TrainingConfig
from llmtl.tuning.learning_rate import USUAL_FOR_ADAPTERS, odd_choices
from llmtl.tuning.rehearsal import rehearsal
from llmtl.tuning.tokenized import each_reference, fitting, require_answers

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.trained_weights import TrainedWeights
    from llmtl.tuning.training import TrainingJob, TrainingOutcome

ADAPTER_FOLDER, MODEL_FOLDER = "adapter", "model"
"""What is kept lies in one of them: an adapter, or a whole model."""
WEIGHTS_FILES = {ADAPTER_FOLDER: "adapter_model.safetensors", MODEL_FOLDER: "model*.safetensors"}
PROMPTS_OF_ONE = 20.0
"""How many prompts, whose beginning is read once for all, training on one example surely takes the time of: about 7
were measured with SmolLM2-135M and with a pocket model on two cores."""

Choices = TypeVar("Choices", bound=TrainingConfig)


class TunedPredictor:
    """The zero-shot prompt over what was tuned in the folder that the prompt names; its weights have that SHA-256."""

    def __init__(self, context: FitContext, prompt: PromptServed, *, sha256: str) -> None:
        self._prompted = fixed(context, prompt)
        self.sha256 = sha256

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text; a text whose prompt does not fit the context is a failure."""
        with quiet():  # PEFT imports bitsandbytes, which logs a warning when an optional package is missing
            return self._prompted.predict(inputs, advance=advance)

    def save(self, folder: Path) -> None:
        """Write the prompt, the hash of the weights, and the weights where they are not there yet."""
        tuned = self._prompted.prompt.tuned
        assert tuned is not None
        if tuned.resolve() != (folder / tuned.name).resolve():
            shutil.copytree(tuned, folder / tuned.name)
        write_json(folder / PROMPT_FILE, kept_form(self._prompted.prompt) | {"sha256": self.sha256})

    def served(self) -> Served:
        """Say how it is served: by the base model with the adapter, or by the model whose own weights were tuned."""
        return self._prompted.prompt


def tuning_facts(
    *,
    name: str,
    title: str,
    advice: str,
    made_with: str,
    is_made_by: str,
    summary: str,
    default: bool = False,
    on_cpu: str = "",
) -> Facts:
    """Give the facts of a strategy that tunes the run's model and serves it by a prompt."""
    return Facts(
        name=name,
        title=title,
        advice=advice,
        role=Role.TUNING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        default=default,
        on_cpu=on_cpu,
        fit_weight=35,
        prompts=1,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with=made_with,
        is_made_by=is_made_by,
        summary=summary,
    )


class LanguageModelTuning(Strategy[Choices]):
    """What tuning takes, whatever is trained; `callbacks` are given to the trainer beside the library's own."""

    keeps: ClassVar[str] = ADAPTER_FOLDER
    instead: ClassVar[str]
    """What to do where memory does not do even for one example, in the imperative."""
    usual_rates: ClassVar[tuple[float, float]] = USUAL_FOR_ADAPTERS

    def __init__(self, config: Choices | None = None, callbacks: "tuple[TrainerCallback, ...]" = ()) -> None:
        super().__init__(config)
        self.callbacks = callbacks
        self.goes_by_limit = self.config.ewc == "auto"

    @abstractmethod
    def weights(self, model: ModelSource, device: str) -> "TrainedWeights":
        """Say how the model is loaded for training on `device`, and what of it is trained and kept."""

    @abstractmethod
    def usual_rate(self, info: "CheckpointInfo") -> float:
        """Compute the peak learning rate for a model where the recipe gives none."""

    def begin(self, job: "TrainingJob") -> None:
        """Write to the job's folder what lies beside the weights."""

    def train(
        self, context: FitContext, job: "TrainingJob", max_tokens: int | None
    ) -> "tuple[TrainingOutcome, tuple[FitFinding, ...]]":
        """Leave the best weights in the job's folder; give the outcome, and what else was found out."""
        from llmtl.tuning.strength_search import train_at_found_strength

        del context, max_tokens
        return train_at_found_strength(job), ()

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for training are installed."""
        require("Fine-tuning", *TUNING)

    def require_memory(self, model: "CheckpointInfo", hardware: Hardware) -> None:
        """Raise `ModelError` where weights, gradients and moments alone surely do not fit the free memory."""
        from llmtl.tuning.needed_memory import require_memory

        with quiet():
            weights = self.weights(ModelSource(str(model.path)), hardware.device)
        trained = replace(weights.trained, consolidated=self.config.ewc != 0)
        require_memory(model, hardware, trained, name=self.name, instead=self.instead)

    def doubts(self, model: "CheckpointInfo | None") -> tuple[str, ...]:
        """Say which rate or number of epochs is far from those that work."""
        rates = filter(None, [self.config.learning_rate])
        own = self.usual_rate(model) if model else None
        return odd_choices(f"strategies.{self.name}", rates, self.config.max_epochs, usual=self.usual_rates, own=own)

    def fit(self, context: FitContext) -> Fitted:
        """Train; what was trained lies in the context's folder.

        Raises `TrainingError` when no training example keeps its answer, or when even one example at a time exhausts
        the memory.
        """
        from llmtl.heads.layer_changes import read_engine_before

        start = monotonic()
        job, max_tokens = self._job(context, start)
        self.begin(job)
        before = read_engine_before(context, context.load_engine(None), job.deadline)
        if before is not None:
            job = replace(job, deadline=before.ends_by(job.deadline))
        context.release_engines()  # a GPU that trains the model in 4 bits may not hold it in 16 bits beside that
        with quiet():  # bitsandbytes logs a warning on import when an optional package is missing
            outcome, further = self.train(context, _as_before(job, context.earlier), max_tokens)
        prompt = served_from(job.folder, max_tokens)
        predictor = TunedPredictor(context, prompt, sha256=weights_sha256(job.folder))
        curve = self._curve(context, job, outcome)
        found: tuple[FitFinding, ...] = (curve, *curve.cut(self.config.max_epochs), *further, *answer_finding(prompt))
        if before is not None:
            found = (*found, before.changes_in(context.load_engine(prompt.tuned)))
        return Fitted(predictor, found, earlier_seconds=outcome.earlier_seconds)

    def forecast(self, context: FitContext) -> float:
        """Time a few steps of the training; it may stop earlier than after all epochs, which is not foreseen.

        Starting to train takes seconds: where the speed of prompts says that there is enough time, that has to do.
        """
        with quiet():
            from llmtl.tuning.first_steps import FORWARD, STEPS, forecast_training

        start, given = monotonic(), each_reference(context.train)
        if context.speed is not None and context.budget.enough is not None:
            dev = FORWARD * len(context.dev) * self.config.evaluations_per_epoch
            rough = PROMPTS_OF_ONE * context.speed.prompt * (len(given) + dev) * self.config.max_epochs
            if rough <= context.budget.enough:
                return rough
        sample = Random(context.seed).sample(given, min(len(given), STEPS * self.config.batch_size))
        job, _ = self._job(replace(context, train=tuple(sample), dev=context.dev[:1]), start)
        if context.device == "cuda":
            context.release_engines()
        return forecast_training(job, train_examples=len(given), dev_examples=len(context.dev))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load what was tuned; raises `RunError` when it is missing or not what was trained."""
        kept = read_json(folder / PROMPT_FILE)
        return opened(context, folder / self.keeps, sha256=kept["sha256"], max_tokens=kept["max_tokens"])

    def _job(self, context: FitContext, start: float) -> "tuple[TrainingJob, int | None]":
        """Say what is to be trained (tokenized examples, learning rate, limits) and how long an answer may be."""
        from llmtl.engines.checkpoint import fetch_checkpoint, inspect_checkpoint
        from llmtl.engines.transformers.loading import load_tokenizer
        from llmtl.tuning.training import TrainingJob

        info = inspect_checkpoint(context.model.name, context.model.revision)
        tokenizer = load_tokenizer(context.model)
        engine = context.load_engine(None)
        template = Template(context.task, engine)
        longest = min(self.config.max_length or info.context_length, info.context_length)
        given = each_reference(context.train)
        train = fitting(given, template, tokenizer, max_length=longest)
        require_answers(train, total=len(given), max_length=longest, context_length=info.context_length)
        dev = fitting(context.dev, template, tokenizer, max_length=longest)
        _report_dropped(
            context, (len(given) - len(train), len(given)), (len(context.dev) - len(dev), len(context.dev)), longest
        )
        seconds = context.budget.train_seconds
        job = TrainingJob(
            checkpoint=fetch_checkpoint(context.model.name, context.model.revision),
            tokenizer=tokenizer,
            train=train,
            dev=dev,
            config=self.config,
            weights=self.weights(context.model, context.device),
            learning_rate=self._learning_rate(info),
            folder=context.folder / self.keeps,
            seed=context.seed,
            deadline=None if seconds is None else start + seconds,
            progress=context.progress,
            base_name=context.model.name,
            callbacks=self.callbacks,
            resumable=True,
            usual_rate=self.usual_rate(info),
            rehearsed=rehearsal(
                len(train),
                self.config.replay,
                tokenizer,
                max_length=longest,
                seed=context.seed,
                choosing=self.goes_by_limit,
            ),
            most_forgetting=context.most_forgetting,
        )
        return job, answer_room(engine, template, context.train)

    def _learning_rate(self, info: "CheckpointInfo") -> float:
        """Take the configured learning rate, or the one the hidden-size rule gives."""
        return self.config.learning_rate or self.usual_rate(info)

    def _curve(self, context: FitContext, job: "TrainingJob", outcome: "TrainingOutcome") -> TrainingCurve:
        """Say how training went."""
        given, found = self.config.learning_rate is not None, outcome.learning_rate != job.learning_rate
        return TrainingCurve(
            points=outcome.curve,
            best_step=outcome.best.step,
            stopped_by=outcome.stopped_by,
            learning_rate=outcome.learning_rate,
            learning_rate_from="range test" if found else "recipe" if given else "hidden-size rule",
            batch=outcome.batch,
            accumulation=outcome.accumulation,
            train_examples=len(job.train),
            dropped_train_examples=len(each_reference(context.train)) - len(job.train),
            dropped_dev_examples=len(context.dev) - len(job.dev),
            trained_tokens=outcome.trained_tokens,
            peak_memory_gib=outcome.peak_gib,
            averaged_steps=outcome.averaged_steps,
            averaged_dev_loss=outcome.averaged_dev_loss,
            range_test=outcome.range_test,
            strengths=outcome.strengths,
            most_forgetting=job.most_forgetting if outcome.strengths else None,
        )


def _as_before(job: "TrainingJob", earlier: Sequence[FitFinding]) -> "TrainingJob":
    """Take the strength of consolidation that the first fit chose, where this one is another draw."""
    before = finding(earlier, TrainingCurve)
    if job.config.ewc != "auto" or before is None or not before.strengths:
        return job
    return replace(job, config=job.config.model_copy(update={"ewc": before.strengths[-1].strength}))


def served_from(folder: Path, max_tokens: int | None) -> PromptServed:
    """Say how what lies in `folder` is prompted; the folder's name tells an adapter from a whole model."""
    if folder.name == MODEL_FOLDER:
        return PromptServed(checkpoint=folder, max_tokens=max_tokens)
    return PromptServed(adapter=folder, max_tokens=max_tokens)


def opened(context: FitContext, folder: Path, *, sha256: str, max_tokens: int | None) -> TunedPredictor:
    """Open what was kept; raises `RunError` when it is missing or not what was trained."""
    if not _weights(folder):
        wanted = WEIGHTS_FILES.get(folder.name, "*.safetensors")
        raise RunError(f"The {folder.name} folder '{folder}' has no {wanted}; run the recipe again with a new --out.")
    if weights_sha256(folder) != sha256:
        raise RunError(f"The {folder.name} in '{folder}' is not the one that was trained; run the recipe again.")
    return TunedPredictor(context, served_from(folder, max_tokens), sha256=sha256)


def _report_dropped(context: FitContext, train: tuple[int, int], dev: tuple[int, int], longest: int) -> None:
    """Say how many examples (dropped, of all) are left out as longer than `longest` tokens, if any are."""
    for name, (dropped, total) in (("training", train), ("dev", dev)):
        if dropped:
            context.progress.say(
                f"Fine-tuning leaves out {some_of(dropped, total, f'{name} example')}: with the prompt "
                f"{'it is' if dropped == 1 else 'they are'} longer than {longest} tokens."
            )


def _weights(folder: Path) -> list[Path]:
    """List the files of the weights that are kept in `folder`."""
    return sorted(folder.glob(WEIGHTS_FILES.get(folder.name, "*.safetensors")))


def weights_sha256(folder: Path) -> str:
    """Hash the weights (SHA-256, in hexadecimal), file after file."""
    return sha256_of_files(_weights(folder))
