"""The `embedding-head` strategy: a classifier on the vectors of a frozen sentence encoder.

Logistic regression and the nearest centroid of a label's vectors are fitted on train and chosen on dev, and their
probabilities calibrated there where cross-validation says that it helps. A text longer than the encoder's window is
read in windows (`llmtl.encoders.sentence`), in the first ones of each text where time is short. Not covered: tuning the
encoder (`setfit`), extraction, the states of the language model (`linear-probe`).
"""

from pathlib import Path
from time import perf_counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from llmtl.heads.prompt_states import READING_SHARE, affordable, shuffled_train
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import require
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Strategy

WARM_UP, PROBED = 4, 64
"""Texts embedded to warm up, and those timed, to forecast how long fitting takes."""


class EmbeddingHeadConfig(BaseModel):
    """The choices of the `embedding-head` strategy: what is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.01, 0.1, 1.0),
        min_length=1,
        description="Inverse strengths of L2 regularisation to try in logistic regression on standardised vectors: "
        "scikit-learn's default 1 and stronger.",
    )
    centroid: bool = Field(
        default=True, description="Try the nearest centroid of a label's vectors, too, where an input has one label."
    )


class EmbeddingHead(Strategy[EmbeddingHeadConfig]):
    """Equal dev scores go to logistic regression, with stronger regularisation first, then to the nearest centroid."""

    section = EmbeddingHeadConfig
    facts = Facts(
        name="embedding-head",
        title="Linear classifier on sentence vectors",
        advice="Train a linear classifier on sentence vectors of {model}",
        role=Role.FEATURES,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS}),
        runs=Runs.ENCODER,
        fit_weight=1.5,
        time_grows_with_train=True,
        has_curve=True,
        made_with="sklearn",
        is_made_by="a linear classifier on the vectors of a frozen sentence encoder",
        summary="A linear classifier on the vectors of a frozen sentence encoder.",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` without sentence-transformers."""
        require("Embedding texts", "sentence_transformers")

    def fit(self, context: FitContext) -> Fitted:
        """Embed dev and train, fit the heads, and keep the best on dev.

        Raises `DataError` without training examples, and `ModelError` for what is not an encoder.
        """
        from llmtl.heads.sentence_head import HeadChoices, SentencePredictor, fit_head, load_encoder

        start, limit = perf_counter(), context.budget.train_seconds
        encoder = load_encoder(context)
        choices = HeadChoices(self.config.c, centroid=self.config.centroid)
        until = None if limit is None else start + READING_SHARE * limit
        head, findings = fit_head(context, encoder, choices, name=self.name, start=start, until=until)
        return Fitted(SentencePredictor(head, lambda: encoder), findings)

    def forecast(self, context: FitContext) -> float:
        """Time loading the encoder and embedding a few texts; the heads take less time than that leaves them."""
        from llmtl.encoders.reach import Lengths
        from llmtl.heads.sentence_head import load_encoder

        start = perf_counter()
        encoder = load_encoder(context)
        sample = [each.text for each in shuffled_train(context)[:PROBED]]
        loaded = perf_counter()
        encoder.encode(sample[:WARM_UP], most=1)
        warm = perf_counter()
        sample = sample[: affordable(context.budget.train_seconds, (warm - loaded) / WARM_UP)]
        encoder.encode(sample, most=1)
        each_text = (perf_counter() - warm) / len(sample)
        texts = [each.text for each in (*context.train, *context.dev)]
        return (warm - start + each_text * Lengths.of(texts, encoder).stretch * len(texts)) / READING_SHARE

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the head; the encoder follows when the first text is to be predicted."""
        from llmtl.heads.sentence_head import SentencePredictor, load_encoder

        return SentencePredictor.opened(context.task, folder, lambda: load_encoder(context))
