"""The `knn-few-shot` strategy: for each input the k most similar training examples, most similar last.

After Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE); k is chosen on dev with the task's own
instruction, then the wording. An input whose prompt would not fit the context gets fewer demonstrations, the least
similar ones dropped. Not covered: balancing the labels of what is retrieved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from llmtl.errors import ContextLengthError
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import KnnFewShotConfig, Retrieval
from llmtl.prompting.demonstrations import interleaved, stratified
from llmtl.prompting.instructions import wordings
from llmtl.prompting.prompts import Prompts, calibration_of, instruction_of
from llmtl.prompting.retrieval import build_index
from llmtl.prompting.search import Candidate, LeftOut, search
from llmtl.strategy import FitContext, Predictor, Role
from llmtl.task import Example

ENOUGH = 0.5
"""A number of demonstrations is tried when it fits in full for at least this share of the dev inputs."""


@dataclass(frozen=True)
class KnnFewShot:
    """The strategy; equal dev scores go to fewer demonstrations."""

    config: KnnFewShotConfig = field(default_factory=KnnFewShotConfig)

    name: ClassVar[str] = "knn-few-shot"
    role: ClassVar[Role] = Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the k and the wording that score best on dev.

        Raises `ContextLengthError` when the smallest k fits for less than half of the dev inputs.
        """
        shown = _Retrieved(context, self.config, context.seed)
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
        calibration, facts = calibrate(
            self.config.calibration,
            context,
            found.best.predictor,
            dev=found.dev,
            predictions=found.predictions,
            spare=(),
        )
        details = {**found.details(context.task.metric), **facts, "retrieval": self.config.retrieval.value}
        details["left_out"] = [*map(asdict, too_long), *details["left_out"]]
        return shown.predictor(found.best.shots, found.instruction, calibration=calibration, details=details)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored k, its index built again from train as it was."""
        changes = {"retrieval": Retrieval(state.get("retrieval", Retrieval.TFIDF))}
        if "sentence_model" in state:
            changes["sentence_model"] = state["sentence_model"]
        shown = _Retrieved(context, self.config.model_copy(update=changes), state["seed"])
        return shown.predictor(state["shots"], instruction_of(state, context), calibration=calibration_of(state))


class _Retrieved:
    """What all values of k share: the prompts and the index of the training examples.

    The index lists the examples in balanced, interleaved order, so that an input that resembles none of them (equal
    similarities rank in the order given) gets demonstrations of different labels.
    """

    def __init__(self, context: FitContext, config: KnnFewShotConfig, seed: int) -> None:
        self.prompts, self.seed, self._config = Prompts(context), seed, config
        pool = interleaved(
            context.train, context.task.labels, count=len(context.train), seed=seed, kind=context.task.kind
        )
        self._index = build_index(pool, config, self.prompts.engine)

    def share_fitting(self, examples: Sequence[Example], shots: int, instruction: str) -> float:
        """Return the share of inputs for which all `shots` demonstrations fit."""
        room = self.prompts.room(instruction)
        fitting = [self._fits(each.text, self._index.nearest(each.text, shots), instruction, room) for each in examples]
        return sum(fitting) / len(fitting)

    def candidate(self, shots: int, instruction: str, index: int) -> Candidate:
        """Return the candidate with the wording `instruction`, which is number `index`."""
        return Candidate(shots, self.seed, self.predictor(shots, instruction), index)

    def predictor(
        self,
        shots: int,
        instruction: str,
        *,
        calibration: LabelCalibration | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Predictor:
        """Return the predictor that retrieves `shots` demonstrations for each input."""
        room = self.prompts.room(instruction)

        def neighbours(text: str) -> tuple[Example, ...]:
            """Return up to `shots` most similar examples, most similar last, as many as fit."""
            chosen = self._index.nearest(text, shots)
            while chosen and not self._fits(text, chosen, instruction, room):
                chosen = chosen[1:]
            return chosen

        return self.prompts.predictor(
            instruction, neighbours, state=self._state(shots), calibration=calibration, details=details
        )

    def _state(self, shots: int) -> dict[str, Any]:
        """Return what the index and k are rebuilt from."""
        state = {"shots": shots, "seed": self.seed, "retrieval": self._config.retrieval.value}
        if self._config.retrieval is Retrieval.SENTENCES:
            state["sentence_model"] = self._config.sentence_model
        return state

    def _fits(self, text: str, shown: tuple[Example, ...], instruction: str, room: int) -> bool:
        """Return whether the prompt leaves room for the longest answer."""
        return self.prompts.tokens(instruction, text, shown) <= room


def _fitting(
    shown: _Retrieved, shots: Sequence[int], dev: Sequence[Example], instruction: str
) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the candidates that fit for enough of the dev inputs, and those that do not.

    Raises `ContextLengthError` when none does.
    """
    candidates: list[Candidate] = []
    too_long: list[LeftOut] = []
    for number in sorted({min(number, len(shown.prompts.context.train)) for number in shots}):
        share = shown.share_fitting(dev, number, instruction)
        if share >= ENOUGH:
            candidates.append(shown.candidate(number, instruction, 0))
        else:
            too_long.append(LeftOut(number, shown.seed, f"fits for {share:.0%} of the inputs"))
    if not candidates:
        raise ContextLengthError(
            f"Retrieving {too_long[0].shots} demonstrations {too_long[0].reason}: the model's context is "
            f"{shown.prompts.engine.context_length} tokens; shorten the texts, lower 'strategies.knn_few_shot.shots' "
            "or use a model with a longer context."
        )
    return candidates, too_long
