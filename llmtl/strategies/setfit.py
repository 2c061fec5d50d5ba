"""The `setfit` strategy: tune a sentence encoder on pairs of training texts, then fit a head on its vectors.

After Tunstall et al. (2022), "Efficient Few-Shot Learning Without Prompts" (SetFit, arXiv:2209.11055), in a few lines
on sentence-transformers: texts of one label are drawn together and others apart, each label as often as any other
(`llmtl.encoders.contrastive`), and the head is chosen on dev and calibrated as that of `embedding-head`. A label with
one training text pairs it with itself. Long texts are cut at the encoder's window while tuning, and read whole by the
head. Not covered: inputs with several labels, of which it is not plain which two are alike; extraction.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from llmtl.errors import CannotFitError
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import require
from llmtl.strategy import Curve, Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Strategy
from llmtl.task import Draw, references

if TYPE_CHECKING:
    from llmtl.encoders.label_pairs import Pair
    from llmtl.encoders.sentence import SentenceEncoder
    from llmtl.encoders.trainer import Trained

ENCODER_FOLDER = "encoder"
TUNING_SHARE, READING_SHARE = 0.6, 0.9
"""The parts of the time for fitting after which the encoder is tuned no more, and no more examples are embedded."""
NEAR_LABELS = 3
"""Labels that follow one in a batch for hard negatives: those whose mean vectors are the most similar before tuning."""


class SetFitConfig(BaseModel):
    """The choices of the `setfit` strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(
        default=2e-5, gt=0, description="Peak learning rate of the encoder, that of SetFit; linear down to 0."
    )
    epochs: int = Field(default=1, ge=1, description="Passes over the pairs (SetFit: 1).")
    batch_size: int = Field(default=16, ge=1, description="Pairs per step (SetFit: 16).")
    iterations: int = Field(
        default=5,
        ge=1,
        description="Pairs drawn for each training example. SetFit draws 20 and as many of two labels; here each pair "
        "of a batch is compared with all others.",
    )
    max_pairs: int = Field(
        default=8_000, ge=2, description="Pairs at most: with many examples each needs fewer to be learned from."
    )
    hard_negatives: bool = Field(
        default=False, description="Fill batches with labels whose texts are the most alike before tuning."
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Share of the steps over which the learning rate rises from 0 (SetFit)."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay (SetFit).")
    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.01, 0.1, 1.0), min_length=1, description="Inverse strengths of L2 regularisation of the head."
    )


class SetFit(Strategy[SetFitConfig]):
    """The tuned encoder is kept in the folder `encoder` beside the head."""

    section = SetFitConfig
    facts = Facts(
        name="setfit",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL}),
        runs=Runs.ENCODER,
        fit_weight=8,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        curve=Curve.ON_GPU,
        made_with="sentence-transformers",
        is_made_by="a sentence encoder that was tuned on pairs of examples, with a linear classifier",
        summary="A sentence encoder tuned on pairs of examples, with a linear classifier.",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for tuning an encoder are installed."""
        require("Tuning an encoder", "sentence_transformers", "datasets")

    def fit(self, context: FitContext) -> Fitted:
        """Tune the encoder, then fit the head; the encoder lies in the context's folder.

        Raises `DataError` without training examples, `CannotFitError` where no label has two different texts, and
        `TrainingError` where memory or numbers give out.
        """
        from llmtl.classical.grid import training_examples
        from llmtl.encoders.contrastive import pair_columns, pair_loss
        from llmtl.encoders.trainer import TrainingPlan, train
        from llmtl.findings import Unit, cut_short
        from llmtl.heads.sentence_head import HeadChoices, SentencePredictor, fit_head, load_encoder

        start, limit = perf_counter(), context.budget.train_seconds
        texts = [example.text for example in training_examples(context)]
        encoder = load_encoder(context)
        pairs = self._pairs(context, encoder, texts)
        config = self.config
        plan = TrainingPlan(
            learning_rate=config.learning_rate,
            epochs=config.epochs,
            batch_size=config.batch_size,
            warmup=config.warmup_fraction,
            weight_decay=config.weight_decay,
            seed=context.seed,
            until=None if limit is None else start + TUNING_SHARE * limit,
            in_order=True,
        )
        rows = pair_columns(texts, references(context.train), pairs)
        with context.progress.stage("setfit: tuning the encoder", plan.steps(len(pairs))) as advance:
            tuned = train(encoder, rows, pair_loss, plan, advance=advance)
        self._say_cut(context, tuned)
        folder = context.folder / ENCODER_FOLDER
        encoder.save(folder)
        head, findings = fit_head(
            context,
            encoder,
            HeadChoices(config.c),
            name=self.name,
            start=start,
            until=None if limit is None else start + READING_SHARE * limit,
            made={"pairs": len(pairs), "steps": tuned.steps},
        )
        cut = cut_short(tuned.steps, tuned.planned, Unit.STEPS)
        return Fitted(SentencePredictor(head, lambda: encoder, tuned=folder), (*cut, *findings))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the head; the tuned encoder follows when the first text is to be predicted."""
        from llmtl.encoders.sentence import SentenceEncoder
        from llmtl.heads.linear_head import LinearHead
        from llmtl.heads.sentence_head import SentencePredictor

        tuned = folder / ENCODER_FOLDER
        head = LinearHead.read(context.task, folder)
        return SentencePredictor(head, lambda: SentenceEncoder.kept(tuned, context.device), tuned=tuned)

    def _pairs(self, context: FitContext, encoder: "SentenceEncoder", texts: Sequence[str]) -> "list[Pair]":
        """Draw the pairs; say which labels have none of their own."""
        from llmtl.encoders.label_pairs import label_pairs, lone_labels

        labels = references(context.train)
        near = _near(encoder, texts, labels) if self.config.hard_negatives else None
        count = min(self.config.max_pairs, self.config.iterations * len(texts))
        pairs = label_pairs(texts, labels, count=count, seed=context.seed, near=near)
        if not pairs:
            raise CannotFitError(
                "SetFit learns from pairs of different texts with one label, and no label has two in train; label more "
                "examples, or leave 'setfit' out of strategies.run."
            )
        alone = lone_labels(texts, labels)
        if alone:
            context.progress.say(
                f"setfit: {len(alone)} of {len(set(labels))} labels have one training text (such as '{alone[0]}'); "
                "paired with itself, it is told apart from the others, and not brought close to any"
            )
        return pairs

    def _say_cut(self, context: FitContext, tuned: "Trained") -> None:
        if tuned.steps < tuned.planned:
            context.progress.say(f"setfit: time for {tuned.steps:,} of {tuned.planned:,} steps")


def _near(encoder: "SentenceEncoder", texts: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """List for each label those whose mean vectors are the most similar."""
    import numpy as np

    names, vectors, given = sorted(set(labels)), encoder.encode(texts), np.array(labels)
    centres = np.stack([vectors[given == name].mean(axis=0) for name in names])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    alike = centres @ centres.T
    np.fill_diagonal(alike, -np.inf)
    order = np.argsort(-alike, axis=1)[:, : min(NEAR_LABELS, len(names) - 1)]
    return {name: [names[at] for at in row] for name, row in zip(names, order.tolist(), strict=True)}
