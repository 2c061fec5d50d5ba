"""The `knn-few-shot` strategy: for each input the k most similar training examples, most similar last.

After Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE); k is chosen on dev with the task's own
instruction, then the wording. Where the recipe has an encoder, similarity by its embeddings is tried beside TF-IDF on
dev, both with the fewest demonstrations, whose prompts are the shortest; the better one goes on. An input whose prompt
would not fit the context gets fewer demonstrations, the least similar ones dropped. Not covered: balancing the labels
of what is retrieved.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors.numpy import load_file, save_file

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine
from llmtl.errors import ContextLengthError, MissingPackageError, ModelError, RecipeError
from llmtl.findings import LeftOutPrompt
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.packages import require
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import PromptConfig, Shots
from llmtl.prompting.demonstrations import stratified
from llmtl.prompting.fitted import FittedPrompt, answer_finding, read_prompt, retrieval_pool, told
from llmtl.prompting.instructions import wordings
from llmtl.prompting.predictors import Asker
from llmtl.prompting.prompts import Prompts
from llmtl.prompting.search import Candidate, search
from llmtl.prompting.search_time import compared_on, own_seconds
from llmtl.strategy import (
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

VECTORS = "vectors.safetensors"
"""The embeddings of the training examples, in the order of the index."""
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
    retrieval: Retrieval | None = Field(
        default=None,
        description="How similar examples are found: by tfidf, by the model's own hidden states, or by "
        "sentence-transformers (pip install 'llmtl[embeddings]'); null chooses on dev between tfidf and the recipe's "
        "encoder, if it has one.",
    )
    sentence_model: str | None = Field(
        default=None,
        min_length=1,
        description="The encoder of sentence-transformers, a Hub name or a folder; null takes the recipe's encoder.",
    )


class KnnFewShot(Strategy[KnnFewShotConfig]):
    """Equal dev scores go to fewer demonstrations."""

    section = KnnFewShotConfig
    facts = Facts(
        name="knn-few-shot",
        title="Prompt with similar examples",
        advice="Prompt {model} with the most similar examples",
        role=Role.PROMPTING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        fit_weight=12,
        long_prompts=1,
        races=True,
        uses_encoder=True,
        has_curve=True,
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
        ways = self._ways(context)
        dev = stratified(context.dev, count=self.config.dev_examples, seed=context.seed, kind=context.task.kind)
        instructions = wordings(context.task, self.config)
        numbers = sorted({min(number, len(context.train)) for number in self.config.shots})
        too_long: list[LeftOutPrompt] = []
        first = _fitting(ways, numbers[:1], dev, instructions[0], too_long)
        if not first:
            raise _no_room(context, too_long[0])

        def more(best: Candidate) -> list[Candidate]:
            return _fitting({best.retrieval: ways[best.retrieval]}, numbers[1:], dev, instructions[0], too_long)

        def reworded(best: Candidate) -> list[Candidate]:
            return [
                ways[best.retrieval].candidate(best.shots, wording, index, best.retrieval)
                for index, wording in enumerate(instructions)
                if index
            ]

        found = search(first, dev, context, name=self.name, instructions=instructions, further=[more, reworded])
        shown = ways[found.best.retrieval]
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
            retrieved=replace(shown.pool, shots=found.best.shots),
            calibration=calibration,
            max_tokens=shown.prompts.max_tokens(found.instruction),
        )
        trace = found.trace(context.task.metric.value, too_long=too_long)
        return Fitted(_fitted(context, prompt, shown.vectors), (trace, *calibrated, *answer_finding(prompt)))

    def forecast(self, context: FitContext) -> float | None:
        """Forecast asking all numbers, the smallest by each retrieval, and all wordings with the middle one."""
        if context.speed is None:
            return None
        numbers = sorted({min(number, len(context.train)) for number in self.config.shots})
        ways = 2 if context.encoder is not None and self.config.retrieval is None else 1
        reworded = [numbers[len(numbers) // 2]] * (len(wordings(context.task, self.config)) - 1)
        inputs, speed = compared_on(context, self.config), context.speed
        return sum(own_seconds(speed, shots, inputs) for shots in [*numbers[:1] * ways, *numbers[1:], *reworded])

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load k and wording; the index is built again from train as it was, its embeddings as they were kept."""
        file = folder / VECTORS
        vectors = (lambda: load_file(file)["vectors"]) if file.is_file() else None
        return _fitted(context, read_prompt(context, folder), vectors)

    def _ways(self, context: FitContext) -> "Mapping[Retrieval | None, _Shown]":
        """Open the indices to choose from; one alone goes by the name None."""
        by, pool = self.config.retrieval, retrieval_pool(context, context.seed)
        plain = Retrieved(0, context.seed, pool, by or Retrieval.TFIDF)
        encoder = context.encoder if self.config.sentence_model is None else EncoderSource(self.config.sentence_model)
        if encoder is None or by not in (None, Retrieval.SENTENCES):
            if by is Retrieval.SENTENCES:
                raise RecipeError(
                    "Retrieving by sentence-transformers needs an encoder; set encoder=minilm, a Hub name or a folder."
                )
            return {None: _Shown(context, plain)}
        embedded = replace(plain, by=Retrieval.SENTENCES, sentence_model=encoder.name, revision=encoder.revision)
        if by is Retrieval.SENTENCES:
            return {None: _Shown(context, embedded)}
        try:
            embedding = _Shown(context, embedded)
        except (ModelError, MissingPackageError) as error:  # the default encoder need not be there
            context.progress.say(f"knn-few-shot looks examples up by TF-IDF alone: {error}")
            return {None: _Shown(context, plain)}
        return {Retrieval.TFIDF: _Shown(context, plain), Retrieval.SENTENCES: embedding}


def _fitted(context: FitContext, prompt: PromptServed, vectors: Callable[[], Any] | None = None) -> FittedPrompt:
    """Make the predictor of a chosen prompt; `vectors` reads the pool's embeddings where they are known."""
    pool = prompt.retrieved
    if pool is None:
        raise ValueError("A prompt of knn-few-shot retrieves its demonstrations.")

    def ask(engine: Engine) -> Asker:
        known = vectors() if vectors else None
        shown = _Shown(context, pool, engine, max_tokens=prompt.max_tokens, vectors=known)
        return shown.predictor(pool.shots, told(prompt, context), calibration=prompt.calibration)

    def keep(folder: Path) -> None:
        found = vectors() if vectors else None
        if found is not None:
            save_file({"vectors": found}, folder / VECTORS)

    return FittedPrompt(prompt, engine=lambda: context.load_engine(None), ask=ask, keep=keep)


class _Shown:
    """What all values of k share: the prompts and the index of the training examples."""

    def __init__(
        self,
        context: FitContext,
        pool: Retrieved,
        engine: Engine | None = None,
        *,
        max_tokens: int | None = None,
        vectors: Any = None,
    ) -> None:
        from llmtl.prompting.retrieval import build_index

        self.prompts, self.pool = Prompts(context, engine, max_tokens=max_tokens), pool
        self._index = build_index(pool, self.prompts.engine, vectors=vectors, progress=context.progress)

    def vectors(self) -> Any:
        """Give the embeddings of the pool, (N, width); None where similarity is by TF-IDF."""
        return getattr(self._index, "vectors", None)

    def share_fitting(self, examples: Sequence[Example], shots: int, instruction: str) -> float:
        """Compute the share of inputs for which all `shots` demonstrations fit."""
        room = self.prompts.room(instruction)
        fitting = [self._fits(each.text, self._index.nearest(each.text, shots), instruction, room) for each in examples]
        return sum(fitting) / len(fitting)

    def candidate(self, shots: int, instruction: str, index: int, way: Retrieval | None) -> Candidate:
        """Make the candidate with the wording `instruction`, which is number `index`."""
        return Candidate(shots, self.pool.seed, self.predictor(shots, instruction), index, retrieval=way)

    def predictor(self, shots: int, instruction: str, *, calibration: LabelCalibration | None = None) -> Asker:
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
    ways: Mapping[Retrieval | None, _Shown],
    shots: Sequence[int],
    dev: Sequence[Example],
    instruction: str,
    too_long: list[LeftOutPrompt],
) -> list[Candidate]:
    """List the candidates that fit for enough of the dev inputs; those that do not join `too_long`."""
    candidates: list[Candidate] = []
    for number in shots:
        for way, shown in ways.items():
            share = shown.share_fitting(dev, number, instruction)
            if share >= ENOUGH:
                candidates.append(shown.candidate(number, instruction, 0, way))
            else:
                too_long.append(LeftOutPrompt(number, shown.pool.seed, f"fits for {share:.0%} of the inputs"))
    return candidates


def _no_room(context: FitContext, least: LeftOutPrompt) -> ContextLengthError:
    """Say that not even the fewest demonstrations fit."""
    return ContextLengthError(
        f"Retrieving {least.shots} demonstrations {least.reason}: the model's context is "
        f"{context.load_engine(None).context_length} tokens; shorten the texts, lower 'strategies.knn_few_shot.shots' "
        "or use a model with a longer context."
    )
