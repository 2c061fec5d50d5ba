"""The `setfit` strategy: tune a sentence encoder on pairs of training texts, then fit a head on its vectors.

After Tunstall et al. (2022), "Efficient Few-Shot Learning Without Prompts" (SetFit, arXiv:2209.11055), in a few lines
on sentence-transformers, with another loss: texts of one label are drawn together and away from all others of the
batch, each label as often as any other (`llmtl.encoders.contrastive`). The head is chosen on dev and calibrated as that
of `embedding-head`, on the tuned vectors or on those of the encoder as it is: tuning may make it worse, and dev knows.
What a label with few texts means is one more text of it; a label with one text pairs it with itself. Long texts are cut
at the encoder's window while tuning, and read whole by the head, as far as there is time. Not covered: inputs with
several labels, of which it is not plain which two are alike; extraction.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.classical.grid import training_examples
from llmtl.encoders.contrastive import label_loss, labelled_columns
from llmtl.encoders.label_pairs import Pair, label_pairs, lone_labels
from llmtl.errors import CannotFitError
from llmtl.findings import Unit, cut_short
from llmtl.heads.meanings import meanings
from llmtl.kinds.kind import AnswerShape
from llmtl.numerals import HAS, some_of
from llmtl.packages import require
from llmtl.seals import UNFINISHED
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Strategy
from llmtl.task import Draw, Example

if TYPE_CHECKING:
    from llmtl.encoders.sentence import SentenceEncoder
    from llmtl.encoders.trainer import Trained, TrainingPlan

ENCODER_FOLDER = "encoder"
UNTOUCHED = "untouched"
"""What the choice says of the encoder where tuning brought nothing on dev."""
BEFORE_SHARE, TUNING_SHARE, READING_SHARE = 0.2, 0.8, 0.95
"""The parts of the time for fitting after which no more examples are embedded by the encoder as it is, it is tuned no
more, and no more examples are embedded by the tuned one."""
NEAR_LABELS = 3
"""Labels that follow one in a batch for hard negatives: those whose mean vectors are the most similar before tuning."""


class SetFitConfig(BaseModel):
    """The choices of the `setfit` strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float = Field(
        default=2e-5, gt=0, description="Peak learning rate of the encoder, that of SetFit; linear down to 0."
    )
    epochs: int = Field(default=1, ge=1, description="Passes over the pairs (SetFit: 1).")
    batch_size: int = Field(
        default=32, ge=1, description="Pairs per step, of different labels where there are enough of them."
    )
    temperature: float = Field(
        default=0.05, gt=0, description="What cosines are divided by: the smaller, the more the nearest labels count."
    )
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
    untouched: bool = Field(
        default=True, description="Fit heads on the encoder as it is, too, and keep it where no other is better on dev."
    )
    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.01, 0.1, 1.0), min_length=1, description="Inverse strengths of L2 regularisation of the head."
    )


class SetFit(Strategy[SetFitConfig]):
    """The tuned encoder is kept in the folder `encoder` beside the head."""

    section = SetFitConfig
    facts = Facts(
        name="setfit",
        title="Fine-tuned sentence encoder (SetFit)",
        advice="Fine-tune {model} on pairs of examples (SetFit)",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL}),
        runs=Runs.ENCODER,
        fit_weight=8,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with="sentence-transformers",
        is_made_by="a sentence encoder that was tuned on pairs of examples, with a linear classifier",
        summary="A sentence encoder tuned on pairs of examples, with a linear classifier.",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for tuning an encoder are installed."""
        require("Tuning an encoder", "sentence_transformers", "datasets")

    def fit(self, context: FitContext) -> Fitted:
        """Fit heads on the encoder as it is, tune it, fit heads on it again, and keep the best on dev.

        A tuned encoder lies in the context's folder. Raises `DataError` without training examples, `CannotFitError`
        where no label has two different texts, and `TrainingError` where memory or numbers give out.
        """
        from llmtl.heads.layer_changes import changes_of_encoder, read_encoder_before
        from llmtl.heads.sentence_head import (
            HeadChoices,
            SentencePredictor,
            embed,
            fit_head,
            heads_of,
            load_encoder,
            load_to_tune,
        )

        start, limit = perf_counter(), context.budget.train_seconds
        learned = _learned(context)
        encoder, choices = load_to_tune(context), HeadChoices(self.config.c)
        pairs = self._pairs(context, encoder, learned)
        layers, before = read_encoder_before(context, encoder, limit), None
        if self.config.untouched:
            until = None if limit is None else start + BEFORE_SHARE * limit
            found = embed(context, encoder, name=self.name, until=until)
            before = found, list(heads_of(context, found, choices, {"encoder": UNTOUCHED}))
        until = None if limit is None else start + TUNING_SHARE * limit
        texts, labels = _texts_of(learned)
        rows = labelled_columns(encoder.beginnings(texts), labels, pairs)
        tuned = self._tuned(context, encoder, rows, until)
        head, findings = fit_head(
            context,
            encoder,
            choices,
            name=self.name,
            start=start,
            until=None if limit is None else start + READING_SHARE * limit,
            made={"encoder": "tuned", "pairs": len(pairs), "steps": tuned.steps},
            rivals=before,
        )
        cut = cut_short(tuned.steps, tuned.planned, Unit.STEPS)
        if head.choice["encoder"] == UNTOUCHED:
            context.progress.say("setfit: tuning brought nothing on dev; the encoder is kept as it was")
            untouched = SentencePredictor(head, lambda: load_encoder(context))
            return Fitted(untouched, (*cut, *findings), earlier_seconds=tuned.earlier_seconds)
        folder = context.folder / ENCODER_FOLDER
        encoder.save(folder)
        told = (*cut, *findings, *changes_of_encoder(layers, encoder))
        predictor = SentencePredictor(head, lambda: encoder, tuned=folder)
        return Fitted(predictor, told, earlier_seconds=tuned.earlier_seconds)

    def forecast(self, context: FitContext) -> float | None:
        """Time a few steps of tuning and embedding a few texts; the heads take less time than that leaves them."""
        from llmtl.encoders.step_time import PROBED_STEPS, seconds_per_step, seconds_per_text
        from llmtl.heads.sentence_head import load_to_tune

        start = perf_counter()
        learned = _learned(context)
        encoder = load_to_tune(context)
        pairs = self._pairs(context, encoder, learned)
        before = perf_counter() - start
        texts, labels = _texts_of(learned)
        reading = seconds_per_text(encoder, texts) * (len(context.train) + len(context.dev))
        until = None if context.budget.train_seconds is None else perf_counter() + context.budget.train_seconds
        plan = self._plan(context, until)
        rows = labelled_columns(encoder.beginnings(texts), labels, pairs[: PROBED_STEPS * self.config.batch_size])
        each_step = seconds_per_step(encoder, rows, label_loss(self.config.temperature), plan)
        first = before + (reading if self.config.untouched else 0.0)
        tuned = first + plan.steps(2 * len(pairs)) * each_step
        return max(first / BEFORE_SHARE, tuned / TUNING_SHARE, (tuned + reading) / READING_SHARE)

    def _plan(self, context: FitContext, until: float | None) -> "TrainingPlan":
        """Say how the encoder is tuned."""
        from llmtl.encoders.trainer import TrainingPlan

        config = self.config
        return TrainingPlan(
            learning_rate=config.learning_rate,
            epochs=config.epochs,
            batch_size=2 * config.batch_size,
            warmup=config.warmup_fraction,
            weight_decay=config.weight_decay,
            seed=context.seed,
            until=until,
            in_order=True,
            words=False,
        )

    def _tuned(
        self, context: FitContext, encoder: "SentenceEncoder", rows: Mapping[str, Sequence[Any]], until: float | None
    ) -> "Trained":
        """Tune the encoder in place on texts with labels, as far as there is time."""
        from llmtl.encoders.trainer import save_points_in, train

        plan = self._plan(context, until)
        points = save_points_in(context.folder / UNFINISHED, encoder, rows, plan, say=context.progress.say)
        with context.progress.stage("setfit: tuning the encoder", plan.steps(len(rows["text"]))) as advance:
            loss = label_loss(self.config.temperature)
            tuned = train(encoder, rows, loss, plan, advance=advance, save_points=points)
        if tuned.steps < tuned.planned:
            context.progress.say(f"setfit: time for {tuned.steps:,} of {tuned.planned:,} steps")
        return tuned

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the head; the encoder follows when the first text is to be predicted."""
        from llmtl.encoders.sentence import SentenceEncoder
        from llmtl.heads.linear_head import LinearHead
        from llmtl.heads.sentence_head import SentencePredictor, load_encoder

        tuned = folder / ENCODER_FOLDER
        if LinearHead.read(context.task, folder).choice.get("encoder") == UNTOUCHED:
            return SentencePredictor.opened(context.task, folder, lambda: load_encoder(context))
        return SentencePredictor.opened(
            context.task, folder, lambda: SentenceEncoder.kept(tuned, context.device), tuned=tuned
        )

    def _pairs(self, context: FitContext, encoder: "SentenceEncoder", learned: Sequence[Example]) -> list[Pair]:
        """Draw the pairs; say which labels have none of their own."""
        texts, labels = _texts_of(learned)
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
                f"setfit: {some_of(len(alone), len(set(labels)), 'label', HAS)} one training text (such as "
                f"'{alone[0]}'); paired with itself, it is told apart from the others, and not brought close to any; "
                "label a second one"
            )
        return pairs


def _learned(context: FitContext) -> tuple[Example, ...]:
    """List what pairs are drawn from: train, and what labels mean; raises `DataError` without train."""
    train = training_examples(context)
    return (*train, *meanings(context.task, train))


def _texts_of(learned: Sequence[Example]) -> tuple[list[str], list[str]]:
    """Give the texts, and the label of each."""
    return [each.text for each in learned], [each.reference for each in learned]


def _near(encoder: "SentenceEncoder", texts: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """List for each label those whose mean vectors are the most similar."""
    import numpy as np

    names, vectors, given = sorted(set(labels)), encoder.encode(texts, most=1), np.array(labels)
    centres = np.stack([vectors[given == name].mean(axis=0) for name in names])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    alike = centres @ centres.T
    np.fill_diagonal(alike, -np.inf)
    order = np.argsort(-alike, axis=1)[:, : min(NEAR_LABELS, len(names) - 1)]
    return {name: [names[at] for at in row] for name, row in zip(names, order.tolist(), strict=True)}
