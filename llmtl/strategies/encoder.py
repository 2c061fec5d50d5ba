"""The `encoder` strategy: fine-tune a BERT-like encoder with a head, for labels of texts or for spans.

Devlin et al. (2019), "BERT", section 4 and appendix A.3. A text longer than the encoder reads at once is read in
windows that overlap; where that happens to more than 5% of texts, `long_name` may name an encoder to take instead.
Epochs are compared on dev. The files are those of transformers, in safetensors. Not covered: soups of checkpoints,
pre-training on the task's own texts, several devices.
"""

from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.windows import cut
from llmtl.errors import ModelError
from llmtl.findings import LongInputs, TrainingCurve
from llmtl.json_and_yaml import parse_json
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import LOCAL, require
from llmtl.quiet import quiet
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Section, Strategy
from llmtl.task import Draw
from llmtl.tuning.learning_rate import odd_choices

if TYPE_CHECKING:
    from llmtl.encoders.checkpoint import EncoderInfo
    from llmtl.encoders.fine_tuning import TuningPlan
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.heads.tuned_encoder import Start

LONG_SHARE = 0.05
"""The part of texts longer than the encoder reads at once from which `long_name` is taken."""
PROBED_STEPS = 3
"""Steps that a forecast times."""
FORWARD = 1 / 3
"""What reading a text takes of learning from it: a backward pass costs about two forward ones (Kaplan et al. 2020,
"Scaling Laws for Neural Language Models", section 2.1)."""
BASE_WIDTH = 768
BASE_RATE, SMALL_RATE = 2e-5, 1e-4


def rate_for_width(hidden_size: int) -> float:
    """Choose the learning rate: 2e-5 from a width of 768 on, 1e-4 below.

    2e-5 is the least of BERT's three (Devlin et al. 2019, appendix A.3: 5e-5, 3e-5, 2e-5 for widths 768 and 1,024).
    Smaller ones want more: Turc et al. (2019), "Well-Read Students Learn Better", arXiv:1908.08962, tune 24 of them
    with 3e-4, 1e-4, 5e-5 or 3e-5.
    """
    return BASE_RATE if hidden_size >= BASE_WIDTH else SMALL_RATE


class EncoderTuningConfig(BaseModel):
    """The choices of the `encoder` strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        default=None,
        min_length=1,
        description="Peak learning rates to try on dev, each for its share of the time; by default 2e-5 for encoders "
        "of width 768 and more (Devlin et al. 2019), and 1e-4 for smaller ones (Turc et al. 2019).",
    )
    max_epochs: int = Field(default=10, ge=1, description="Passes over the training examples, at most.")
    patience: int = Field(
        default=3, ge=1, description="Training stops after this many epochs in a row that are no better on dev."
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        description="Examples per step (Devlin et al. 2019, appendix A.3: 16 or 32). Long ones are computed in several "
        "passes, so that the step stays the same.",
    )
    warmup_fraction: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="Share of training over which the learning rate rises (Devlin et al. 2019).",
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay (Devlin et al. 2019).")
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Each layer learns by this factor more slowly than the one above it; 1 for all alike. 0.95 in Sun "
        "et al. (2019), 0.9 in AutoGluon's AutoMM.",
    )
    max_length: int | None = Field(
        default=None,
        ge=32,
        description="Tokens read at once, at most; by default all that the encoder can. Longer texts are read "
        "in windows.",
    )
    long_name: str | None = Field(
        default=None,
        min_length=1,
        description="An encoder to tune instead where more than 5% of texts are longer than the other reads at once, "
        "such as allenai/longformer-base-4096.",
    )


class EncoderTuning(Strategy[Section]):
    """What tuning an encoder takes, whatever its weights are to begin with."""

    pretrained: ClassVar[bool]

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for encoders are installed."""
        require("A tuned encoder", "sentence_transformers", *LOCAL)

    @abstractmethod
    def choices(self, context: FitContext) -> EncoderTuningConfig:
        """Give the choices of the training, but for its learning rates."""

    @abstractmethod
    def rates(self, hidden_size: int) -> tuple[tuple[float, ...], str]:
        """List the learning rates to try, and say where they come from."""

    def fit(self, context: FitContext) -> Fitted:
        """Tune, once per learning rate, and keep the best on dev; it lies in the context's folder.

        Raises `ModelError` without an encoder or with one that cannot be tuned, `DataError` without anything to learn
        from, and `TrainingError` when even one text at a time exhausts the memory.
        """
        from llmtl.heads.encoder_heads import head_for
        from llmtl.heads.tuned_encoder import tune

        began, seconds = monotonic(), context.budget.train_seconds
        head = head_for(context)
        start, long = self._start(context)
        context.release_engines()  # memory may not be enough for a language model beside a training
        deadline = None if seconds is None else began + seconds
        tuned, findings, earlier = tune(context, head, start, deadline=deadline)
        return Fitted(tuned, (*findings, long), earlier_seconds=earlier)

    def forecast(self, context: FitContext) -> float | None:
        """Time a few steps; training may stop earlier than after all epochs, which is not foreseen."""
        from llmtl.heads.encoder_heads import head_for
        from llmtl.heads.tuned_encoder import tune

        head, (start, _) = head_for(context), self._start(context)
        config = self.choices(context)
        wanted = PROBED_STEPS * config.batch_size
        train = Random(context.seed).sample(context.train, min(len(context.train), wanted))
        part = replace(context, train=tuple(train), dev=context.dev[:wanted])
        once = replace(start, plans=(replace(start.plans[0], max_epochs=1),))
        _, findings, _ = tune(part, head, once, deadline=None, resumable=False)
        seconds = next(each.points[-1].seconds for each in findings if isinstance(each, TrainingCurve))
        each = seconds / (len(part.train) + FORWARD * len(part.dev))
        return each * (len(context.train) + FORWARD * len(context.dev)) * config.max_epochs * len(start.plans)

    def _start(self, context: FitContext) -> "tuple[Start, LongInputs]":
        """Say what is tuned and how, and which texts are too long to be read at once."""
        from llmtl.heads.tuned_encoder import Start

        config = self.choices(context)
        info, long = _chosen(context, config)
        rates, rates_from = self.rates(info.hidden_size)
        start = Start(
            name=self.name,
            checkpoint=info.body,
            window=long.window,
            plans=tuple(plan_of(config, rate, context.seed) for rate in rates),
            rates_from=rates_from,
            mean=takes_mean(info.path),
            pretrained=self.pretrained,
        )
        return start, long

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load head and encoder; raises `RunError` when something is missing or not what was trained."""
        from llmtl.heads.tuned_encoder import opened

        return opened(context, folder)


class FineTunedEncoder(EncoderTuning[EncoderTuningConfig]):
    """Equal dev scores go to the lower dev loss."""

    section = EncoderTuningConfig
    facts = Facts(
        name="encoder",
        title="Fine-tuned encoder",
        advice="Fine-tune the encoder {model}",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS, AnswerShape.SPANS}),
        runs=Runs.ENCODER,
        fit_weight=15,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with="transformers",
        is_made_by="a fine-tuned encoder",
        summary="Fine-tuning a BERT-like encoder with a head.",
    )
    pretrained = True

    def doubts(self, model: "CheckpointInfo | None") -> tuple[str, ...]:
        """Say which rate or number of epochs is far from those that work."""
        del model
        rates = self.config.learning_rate or ()
        return odd_choices("strategies.encoder", rates, self.config.max_epochs, usual=(BASE_RATE, SMALL_RATE))

    def choices(self, context: FitContext) -> EncoderTuningConfig:
        """Take those of its section."""
        del context
        return self.config

    def rates(self, hidden_size: int) -> tuple[tuple[float, ...], str]:
        """Take the recipe's, or the one that goes with the encoder's width."""
        given = self.config.learning_rate
        return (given, "recipe") if given else ((rate_for_width(hidden_size),), "hidden-size rule")


def plan_of(config: EncoderTuningConfig, learning_rate: float, seed: int) -> "TuningPlan":
    """Say how to train at a learning rate."""
    from llmtl.encoders.fine_tuning import TuningPlan

    return TuningPlan(
        learning_rate=learning_rate,
        max_epochs=config.max_epochs,
        batch_size=config.batch_size,
        warmup_fraction=config.warmup_fraction,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        patience=config.patience,
        seed=seed,
    )


def _chosen(context: FitContext, config: EncoderTuningConfig) -> "tuple[EncoderInfo, LongInputs]":
    """Take the context's encoder, or the one for long texts where too many are longer than it reads at once."""
    if context.encoder is None:
        raise ModelError("A tuned encoder needs an encoder to begin with; set encoder=minilm, a Hub name or a folder.")
    info, found = _measured(context, context.encoder, config)
    if config.long_name is None or found.longer <= LONG_SHARE * found.inputs:
        return info, found
    other, there = _measured(context, EncoderSource(config.long_name), config)
    if there.window <= found.window:
        raise ModelError(
            f"The encoder '{config.long_name}' reads {there.window} tokens at once, no more than "
            f"'{context.encoder.name}'; name a longer one as 'long_name', or none."
        )
    return other, replace(there, instead_of=context.encoder.name)


def _measured(
    context: FitContext, source: EncoderSource, config: EncoderTuningConfig
) -> "tuple[EncoderInfo, LongInputs]":
    """Inspect an encoder, and count the texts of train and dev that are longer than it reads at once."""
    from llmtl.encoders.checkpoint import inspect_encoder
    from llmtl.encoders.network import load_tokenizer

    info = inspect_encoder(source)
    window = min(config.max_length or info.positions, info.positions)
    texts = [example.text for example in (*context.train, *context.dev)]
    with quiet():
        longer = sum(len(windows) > 1 for windows in cut(texts, load_tokenizer(info.body), window=window))
    return info, LongInputs(source.name, window, inputs=len(texts), longer=longer)


def takes_mean(folder: Path) -> bool:
    """Say whether a sentence encoder makes its vector of the mean of its tokens' states."""
    for path in folder.glob("*_Pooling/config.json"):
        settings = parse_json(path.read_bytes())
        return bool(settings.get("pooling_mode_mean_tokens") or settings.get("pooling_mode") == "mean")
    return False
