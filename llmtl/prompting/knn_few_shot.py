"""The `knn-few-shot` strategy: for each input the k most similar training examples, most similar last.

After Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE); k is chosen on dev. An input whose
prompt would not fit the context gets fewer demonstrations, the least similar ones dropped. Not covered: balancing the
labels of what is retrieved.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from llmtl.engines.protocol import Engine
from llmtl.errors import ContextLengthError
from llmtl.label_predictor import PromptPredictor
from llmtl.predictor import FitContext, Predictor, Role
from llmtl.prompting.config import KnnFewShotConfig
from llmtl.prompting.demonstrations import interleaved, stratified
from llmtl.prompting.retrieval import Retriever
from llmtl.prompting.search import Candidate, LeftOut, search
from llmtl.task import Example
from llmtl.templates import Template

ENOUGH = 0.5
"""A number of demonstrations is tried when it fits in full for at least this share of the dev inputs."""


@dataclass(frozen=True)
class KnnFewShot:
    """The strategy; equal dev scores go to fewer demonstrations."""

    config: KnnFewShotConfig = field(default_factory=KnnFewShotConfig)

    @property
    def name(self) -> str:
        """Return `knn-few-shot`."""
        return "knn-few-shot"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the k that scores best on dev.

        Raises `ContextLengthError` when the smallest k fits for less than half of the dev inputs.
        """
        prompts = _Prompts(context, context.seed)
        dev = stratified(context.dev, count=self.config.dev_examples, seed=context.seed)
        candidates: list[Candidate] = []
        too_long: list[LeftOut] = []
        for shots in sorted({min(shots, len(context.train)) for shots in self.config.shots}):
            share = prompts.share_fitting(dev, shots)
            if share >= ENOUGH:
                candidates.append(Candidate(shots, context.seed, prompts.predictor(shots)))
            else:
                too_long.append(LeftOut(shots, context.seed, f"fits for {share:.0%} of the inputs"))
        if not candidates:
            raise ContextLengthError(
                f"Retrieving {too_long[0].shots} demonstrations {too_long[0].reason}: the model's context is "
                f"{prompts.engine.context_length} tokens; shorten the texts, lower 'strategies.knn_few_shot.shots' or "
                "use a model with a longer context."
            )
        found = search(candidates, dev, context, name=self.name)
        context.progress.say(f"knn-few-shot: {found.best.shots} demonstrations")
        details = found.details(context.task.metric)
        details["left_out"] = [*map(asdict, too_long), *details["left_out"]]
        return prompts.predictor(found.best.shots, details=details)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored k, its index built again from train."""
        return _Prompts(context, state["seed"]).predictor(state["shots"])


class _Prompts:
    """What all values of k share: the engine, the template and the index of the training examples.

    The index lists the examples in balanced, interleaved order, so that an input that resembles none of them (equal
    similarities rank in the order given) gets demonstrations of different labels.
    """

    def __init__(self, context: FitContext, seed: int) -> None:
        self.task, self.seed = context.task, seed
        self.engine: Engine = context.load_engine(None)
        self.template = Template(context.task, self.engine)
        self.room = PromptPredictor(self.task, self.engine, self.template).prompt_room()
        self.retriever = Retriever(interleaved(context.train, context.task.labels, count=len(context.train), seed=seed))

    def fits(self, text: str, demonstrations: tuple[Example, ...]) -> bool:
        """Return whether the prompt leaves room for the longest answer."""
        return self.engine.count_tokens(self.template.prompt(text, demonstrations)) <= self.room

    def share_fitting(self, examples: tuple[Example, ...], shots: int) -> float:
        """Return the share of inputs for which all `shots` demonstrations fit."""
        fitting = [self.fits(example.text, self.retriever.nearest(example.text, shots)) for example in examples]
        return sum(fitting) / len(fitting)

    def neighbours(self, text: str, shots: int) -> tuple[Example, ...]:
        """Return up to `shots` most similar examples, most similar last, as many as fit."""
        chosen = self.retriever.nearest(text, shots)
        while chosen and not self.fits(text, chosen):
            chosen = chosen[1:]
        return chosen

    def predictor(self, shots: int, *, details: Mapping[str, Any] | None = None) -> PromptPredictor:
        """Return the predictor that retrieves `shots` demonstrations for each input."""
        return PromptPredictor(
            self.task,
            self.engine,
            self.template,
            demonstrations=lambda text: self.neighbours(text, shots),
            state={"shots": shots, "seed": self.seed},
            details=details or {},
        )
