"""The `knn-few-shot` strategy: for each input the k most similar training examples, most similar last.

After Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE); k is chosen on dev with the task's own
instruction, then the wording. An input whose prompt would not fit the context gets fewer demonstrations, the least
similar ones dropped. Not covered: balancing the labels of what is retrieved.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from llmtl.errors import ContextLengthError
from llmtl.findings import LeftOutPrompt
from llmtl.packages import require
from llmtl.prompting.config import PromptConfig, Shots
from llmtl.strategy import (
    Curve,
    Facts,
    FitContext,
    Fitted,
    Predictor,
    PromptServed,
    Retrieval,
    Retrieved,
    Role,
    Runs,
    Strategy,
)
from llmtl.task import Example

if TYPE_CHECKING:
    from llmtl.engines.protocol import Engine
    from llmtl.metrics.recalibration import LabelCalibration
    from llmtl.prompting.fitted import FittedPrompt
    from llmtl.prompting.predictors import Asker
    from llmtl.prompting.search import Candidate

ENOUGH = 0.5
"""A number of demonstrations is tried when it fits in full for at least this share of the dev inputs."""


class KnnFewShotConfig(PromptConfig):
    """The choices of the `knn-few-shot` strategy: the candidates that are tried on dev."""

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16),
        min_length=1,
        description="Numbers of retrieved demonstrations to try; a number that fits the context for less than half of "
        "the dev inputs is left out.",
    )
    retrieval: Retrieval = Field(
        default=Retrieval.TFIDF,
        description="How similar examples are found: by tfidf, by the model's own hidden states, or by "
        "sentence-transformers (pip install 'llmtl[embeddings]').",
    )
    sentence_model: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence-transformers model, a Hub name or a folder.",
    )


class KnnFewShot(Strategy[KnnFewShotConfig]):
    """Equal dev scores go to fewer demonstrations."""

    section = KnnFewShotConfig
    facts = Facts(
        name="knn-few-shot",
        role=Role.PROMPTING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        fit_weight=12,
        long_prompts=1,
        races=True,
        curve=Curve.ON_GPU,
        made_with="transformers",
        is_made_by="prompting the base model",
        summary="Demonstrations retrieved for each input.",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless sentences can be embedded, where they are to be."""
        if self.config.retrieval is Retrieval.SENTENCES:
            require("Retrieving by sentence embeddings", "sentence_transformers")

    def fit(self, context: FitContext) -> Fitted:
        """Choose the k and the wording that score best on dev.

        Raises `ContextLengthError` when the smallest k fits for less than half of the dev inputs.
        """
        from llmtl.prompting.calibrating import calibrate
        from llmtl.prompting.demonstrations import stratified
        from llmtl.prompting.fitted import answer_finding, retrieval_pool
        from llmtl.prompting.instructions import wordings
        from llmtl.prompting.search import search

        by, model = self.config.retrieval, self.config.sentence_model
        sentence_model = model if by is Retrieval.SENTENCES else ""
        pool = Retrieved(0, context.seed, retrieval_pool(context, context.seed), by, sentence_model)
        shown = _Shown(context, pool)
        dev = stratified(context.dev, count=self.config.dev_examples, seed=context.seed, kind=context.task.kind)
        told = wordings(context.task, self.config)
        candidates, too_long = _fitting(shown, self.config.shots, dev, told[0])
        found = search(
            candidates,
            dev,
            context,
            name=self.name,
            instructions=told,
            further=lambda best: [
                shown.candidate(best.shots, wording, index) for index, wording in enumerate(told) if index
            ],
        )
        context.progress.say(f"knn-few-shot: {found.best.shots} demonstrations")
        # no spare train examples: each would retrieve itself
        calibration, calibrated = calibrate(
            self.config.calibration,
            context,
            found.best.predictor,
            dev=found.dev,
            predictions=found.predictions,
            spare=(),
        )
        prompt = PromptServed(
            instruction=found.instruction,
            retrieved=replace(pool, shots=found.best.shots),
            calibration=calibration,
            max_tokens=shown.prompts.max_tokens(found.instruction),
        )
        trace = found.trace(context.task.metric.value, too_long=too_long)
        return Fitted(_fitted(context, prompt), (trace, *calibrated, *answer_finding(prompt)))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load k and wording; the index is built again from train as it was."""
        from llmtl.prompting.fitted import read_prompt

        return _fitted(context, read_prompt(context, folder))


def _fitted(context: FitContext, prompt: PromptServed) -> "FittedPrompt":
    """Make the predictor of a chosen prompt."""
    from llmtl.prompting.fitted import FittedPrompt, told

    pool = prompt.retrieved
    if pool is None:
        raise ValueError("A prompt of knn-few-shot retrieves its demonstrations.")

    def ask(engine: "Engine") -> "Asker":
        shown = _Shown(context, pool, engine, max_tokens=prompt.max_tokens)
        return shown.predictor(pool.shots, told(prompt, context), calibration=prompt.calibration)

    return FittedPrompt(prompt, engine=lambda: context.load_engine(None), ask=ask)


class _Shown:
    """What all values of k share: the prompts and the index of the training examples."""

    def __init__(
        self, context: FitContext, pool: Retrieved, engine: "Engine | None" = None, *, max_tokens: int | None = None
    ) -> None:
        from llmtl.prompting.prompts import Prompts
        from llmtl.prompting.retrieval import build_index

        self.prompts, self.seed = Prompts(context, engine, max_tokens=max_tokens), pool.seed
        self._index = build_index(pool.pool, pool.by, self.prompts.engine, sentence_model=pool.sentence_model)

    def share_fitting(self, examples: Sequence[Example], shots: int, instruction: str) -> float:
        """Compute the share of inputs for which all `shots` demonstrations fit."""
        room = self.prompts.room(instruction)
        fitting = [self._fits(each.text, self._index.nearest(each.text, shots), instruction, room) for each in examples]
        return sum(fitting) / len(fitting)

    def candidate(self, shots: int, instruction: str, index: int) -> "Candidate":
        """Make the candidate with the wording `instruction`, which is number `index`."""
        from llmtl.prompting.search import Candidate

        return Candidate(shots, self.seed, self.predictor(shots, instruction), index)

    def predictor(self, shots: int, instruction: str, *, calibration: "LabelCalibration | None" = None) -> "Asker":
        """Make the predictor that retrieves `shots` demonstrations for each input."""
        room = self.prompts.room(instruction)

        def neighbours(text: str) -> tuple[Example, ...]:
            """Find up to `shots` most similar examples, most similar last, as many as fit."""
            chosen = self._index.nearest(text, shots)
            while chosen and not self._fits(text, chosen, instruction, room):
                chosen = chosen[1:]
            return chosen

        return self.prompts.predictor(instruction, neighbours, calibration=calibration)

    def _fits(self, text: str, shown: tuple[Example, ...], instruction: str, room: int) -> bool:
        """Say whether the prompt leaves room for the longest answer."""
        return self.prompts.tokens(instruction, text, shown) <= room


def _fitting(
    shown: _Shown, shots: Sequence[int], dev: Sequence[Example], instruction: str
) -> "tuple[list[Candidate], list[LeftOutPrompt]]":
    """List the candidates that fit for enough of the dev inputs, and those that do not.

    Raises `ContextLengthError` when none does.
    """
    candidates: list[Candidate] = []
    too_long: list[LeftOutPrompt] = []
    for number in sorted({min(number, len(shown.prompts.context.train)) for number in shots}):
        share = shown.share_fitting(dev, number, instruction)
        if share >= ENOUGH:
            candidates.append(shown.candidate(number, instruction, 0))
        else:
            too_long.append(LeftOutPrompt(number, shown.seed, f"fits for {share:.0%} of the inputs"))
    if not candidates:
        raise ContextLengthError(
            f"Retrieving {too_long[0].shots} demonstrations {too_long[0].reason}: the model's context is "
            f"{shown.prompts.engine.context_length} tokens; shorten the texts, lower 'strategies.knn_few_shot.shots' "
            "or use a model with a longer context."
        )
    return candidates, too_long
