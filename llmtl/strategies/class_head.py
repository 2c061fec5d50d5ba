"""The `class-head` strategy: the run's language model with a classification head in place of the one that writes.

Transformers' sequence classification: the state of a message's last token gives a score per label, so one pass answers,
however many labels there are, and no prompt is read. A LoRA adapter and the head are trained (the head from random
weights), then merged; what comes out is a classifier of its own, which llmtl's server runs. Not covered: spans and
texts, which need a model that writes; four bits.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from llmtl.encoders.windows import cut
from llmtl.findings import LongInputs
from llmtl.hardware import Hardware
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import LOCAL, require
from llmtl.quiet import quiet
from llmtl.strategies.encoder import EncoderTuning, EncoderTuningConfig, plan_of
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs
from llmtl.task import Draw
from llmtl.tuning.learning_rate import USUAL_FOR_ADAPTERS, odd_choices, rate_for_hidden_size

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.heads.tuned_encoder import Start

MOST_TOKENS = 2048
"""Tokens read at once by default: attention looks at all pairs of them."""


class ClassHeadChoices(BaseModel):
    """The choices of the `class-head` strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(default=16, ge=1, le=512, description="Rank of the adapter matrices, as in `qlora`.")
    alpha: int = Field(default=32, ge=1, description="Scale of the adapter: its output is multiplied by alpha / rank.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout before the adapter.")
    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate of adapter and head; by default the hidden-size rule of adapters.",
    )
    max_epochs: int = Field(default=10, ge=1, description="Passes over the training examples, at most.")
    patience: int = Field(
        default=3, ge=1, description="Training stops after this many epochs in a row that are no better on dev."
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        description="Examples per step. Long ones are computed in several passes, so that the step stays the same.",
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Share of training over which the learning rate rises."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay.")
    max_length: int | None = Field(
        default=None,
        ge=32,
        description="Tokens read at once, at most; by default the model's context, and no more than 2048. Longer texts "
        "are read in windows.",
    )


class ClassHead(EncoderTuning[ClassHeadChoices]):
    """Equal dev scores go to the lower dev loss."""

    section = ClassHeadChoices
    facts = Facts(
        name="class-head",
        title="Language model with a classification head",
        advice="Fine-tune {model} with a classification head",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS}),
        runs=Runs.BASE_MODEL,
        default=False,
        fit_weight=25,
        prompts=1,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with="transformers",
        is_made_by="the base model with a classification head, both fine-tuned",
        summary="Fine-tuning a language model with a classification head and adapters (classification, multi-label).",
    )
    pretrained = True

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for training are installed."""
        require("A classification head", "peft", *LOCAL)

    def require_memory(self, model: "CheckpointInfo", hardware: Hardware) -> None:
        """Raise `ModelError` where the float32 weights alone surely do not fit the free memory."""
        from llmtl.tuning.needed_memory import TrainedPart, require_memory

        trained = TrainedPart(self.config.rank, dropout=self.config.dropout, outputs=2, temporary=False)
        require_memory(model, hardware, trained, name=self.name, instead="take qlora, or a smaller model")

    def doubts(self, model: "CheckpointInfo | None") -> tuple[str, ...]:
        """Say which rate or number of epochs is far from those that work."""
        rates = filter(None, [self.config.learning_rate])
        own = rate_for_hidden_size(model.hidden_size) if model else None
        return odd_choices("strategies.class_head", rates, self.config.max_epochs, usual=USUAL_FOR_ADAPTERS, own=own)

    def choices(self, context: FitContext) -> EncoderTuningConfig:
        """Take those that tuning an encoder has, too."""
        del context
        return EncoderTuningConfig(**self.config.model_dump(exclude={"rank", "alpha", "dropout", "learning_rate"}))

    def rates(self, hidden_size: int) -> tuple[tuple[float, ...], str]:
        """Take the recipe's, or the one that goes with the model's width."""
        given = self.config.learning_rate
        return ((given,), "recipe") if given else ((rate_for_hidden_size(hidden_size),), "hidden-size rule")

    def fit(self, context: FitContext) -> Fitted:
        """Tune, and keep the best on dev; raises `DataError` without anything to learn from."""
        from llmtl.heads.headed_model import HeadedModel
        from llmtl.heads.tuned_encoder import TunedEncoder

        fitted = super().fit(context)
        assert isinstance(fitted.predictor, TunedEncoder)
        return replace(fitted, predictor=HeadedModel(fitted.predictor))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load head and model; raises `RunError` when something is missing or not what was trained."""
        from llmtl.heads.headed_model import HeadedModel
        from llmtl.heads.tuned_encoder import opened

        return HeadedModel(opened(context, folder))

    def _start(self, context: FitContext) -> "tuple[Start, LongInputs]":
        """Say what is tuned and how, and which texts are too long to be read at once."""
        from llmtl.encoders.language_network import AdapterShape
        from llmtl.encoders.network import load_tokenizer
        from llmtl.engines.checkpoint import fetch_checkpoint, inspect_checkpoint
        from llmtl.heads.headed_model import HeadedStart

        config, source = self.config, context.model
        info = inspect_checkpoint(source.name, source.revision)
        checkpoint = fetch_checkpoint(source.name, source.revision)
        window = min(config.max_length or MOST_TOKENS, info.context_length)
        texts = [example.text for example in (*context.train, *context.dev)]
        with quiet():
            longer = sum(len(each) > 1 for each in cut(texts, load_tokenizer(checkpoint, pads=False), window=window))
        rates, rates_from = self.rates(info.hidden_size)
        start = HeadedStart(
            name=self.name,
            checkpoint=checkpoint,
            window=window,
            plans=tuple(replace(plan_of(self.choices(context), rate, context.seed), what="model") for rate in rates),
            rates_from=rates_from,
            adapter=AdapterShape(config.rank, config.alpha, config.dropout),
        )
        return start, LongInputs(source.name, window, inputs=len(texts), longer=longer)
