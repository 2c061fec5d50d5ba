"""The `llm-embedding-head` strategy: the classifier of `embedding-head` on the language model's own mean state.

The vector of an input is the mean of the last layer's states over its tokens in the prompt of zero-shot, read in the
call that `linear-probe` makes; that tries more layers and positions, this one the nearest centroid, too. It shows
whether an encoder of its own is worth having beside the model. Not covered: models trained to embed (name one as
`encoder`), engines that give no states of a mean, such as vLLM, extraction.
"""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from llmtl.heads.prompt_states import (
    READING_SHARE,
    PromptReader,
    Read,
    affordable,
    read_all,
    read_in_time,
    shuffled_train,
    state_reader,
)
from llmtl.kinds.kind import AnswerShape
from llmtl.strategies.embedding_head import PROBED, WARM_UP, EmbeddingHeadConfig
from llmtl.strategies.linear_probe import POSITIONS, LinearProbePredictor
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Strategy

MEAN = "mean"


class LlmEmbeddingHead(Strategy[EmbeddingHeadConfig]):
    """Equal dev scores go to logistic regression, with stronger regularisation first, then to the nearest centroid."""

    section = EmbeddingHeadConfig
    facts = Facts(
        name="llm-embedding-head",
        title="Linear classifier on mean states",
        advice="Train a linear classifier on the mean states of {model}",
        role=Role.FEATURES,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS}),
        runs=Runs.BASE_MODEL,
        default=False,
        fit_weight=1.5,
        prompts=1,
        time_grows_with_train=True,
        has_curve=True,
        made_with="sklearn",
        is_made_by="a linear classifier on the mean of the language model's frozen states",
        summary="The head of `embedding-head` on the language model's own mean state.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Read the states of dev and train, fit the heads, and keep the best on dev.

        Raises `DataError` without training examples, and `ContextLengthError` where the engine gives no states or a
        dev prompt does not fit.
        """
        import numpy as np

        from llmtl.heads.sentence_head import Embedded, HeadChoices, best_head

        start, limit = perf_counter(), context.budget.train_seconds
        reader = PromptReader(context)
        read, room = _mean_of(reader), reader.room()
        dev = np.concatenate(read_all(read, context.dev, context, name=self.name, room=room))
        until = None if limit is None else start + READING_SHARE * limit
        known, parts, cut = read_in_time(read, shuffled_train(context), context, name=self.name, room=room, until=until)
        head, findings = best_head(
            context,
            Embedded(known, np.concatenate(parts).astype(float), dev.astype(float), cut),
            HeadChoices(self.config.c, centroid=self.config.centroid),
            name=self.name,
            start=start,
            made={"layer": state_reader(context).layers - 1, "position": MEAN},
        )
        return Fitted(LinearProbePredictor(reader, head), findings)

    def forecast(self, context: FitContext) -> float | None:
        """Time reading a few prompts; the heads take less time than that leaves them."""
        reader, sample = PromptReader(context), [each.text for each in shuffled_train(context)[:PROBED]]
        start = perf_counter()
        reader.read(sample[:WARM_UP])
        warm = perf_counter()
        sample = sample[: affordable(context.budget.train_seconds, (warm - start) / WARM_UP)]
        reader.read(sample)
        each_text = (perf_counter() - warm) / len(sample)
        return each_text * (len(context.train) + len(context.dev)) / READING_SHARE

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load choice, calibration and weights."""
        from llmtl.heads.linear_head import LinearHead

        return LinearProbePredictor(PromptReader(context), LinearHead.read(context.task, folder))


def _mean_of(reader: PromptReader) -> Read:
    """Read the last layer's mean alone, (N, width)."""

    def read(texts: Sequence[str]) -> tuple[Any, list[int]]:
        states, tokens = reader.read(texts)
        return states[:, -1, POSITIONS.index(MEAN)] if len(states) else states.reshape(0, -1), tokens

    return read
