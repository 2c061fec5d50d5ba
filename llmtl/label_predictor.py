"""Prediction of one label by prompting: the predictor that zero-shot, few-shot and tuned models share.

Whatever was fitted (nothing, a set of demonstrations, a LoRA adapter), predicting is the same: word the prompt with the
template, score the labels with the engine, keep what came out. Not covered: choosing demonstrations
(`llmtl.prompting`), training (`llmtl.tuning`), the wording (`llmtl.templates`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from llmtl.engines.protocol import Engine, LabelScores
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.predictor import Prediction
from llmtl.progress import Advance, unwatched
from llmtl.prompted import NOTHING, Asking, Demonstrations, Prompted, no_demonstrations
from llmtl.task import Task
from llmtl.templates import Template

_END_TOKENS = 1  # the end-of-answer token, which the engine adds to every answer


class PromptPredictor:
    """A predictor that asks `engine` for one of the task's labels, with the demonstrations chosen for each input.

    `state` and `details` are what the methods of the same names return. With a `calibration` the label is the likeliest
    one after it.
    """

    def __init__(
        self,
        task: Task,
        engine: Engine,
        template: Template,
        *,
        demonstrations: Demonstrations = no_demonstrations,
        state: Mapping[str, Any] = NOTHING,
        details: Mapping[str, Any] = NOTHING,
        calibration: LabelCalibration | None = None,
    ) -> None:
        self._labels = task.labels
        self._prompted = Prompted(engine, template, demonstrations)
        self._state = dict(state)
        self._details = dict(details)
        self._calibration = calibration
        self._answers = [template.answer(label) for label in task.labels]

    def predict(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return one prediction a text, in order; a text whose prompt does not fit the context is a failure."""
        return self._prompted.predict(texts, Asking(self._score, self._read, self.prompt_room()), advance)

    def prompt_room(self) -> int:
        """Return the largest number of tokens a prompt may have beside the longest answer and its end token."""
        engine = self._prompted.engine
        return engine.context_length - max(map(engine.count_tokens, self._answers)) - _END_TOKENS

    def state(self) -> dict[str, Any]:
        """Return the JSON-able choices given at construction."""
        return dict(self._state)

    def details(self) -> dict[str, Any]:
        """Return the JSON-able facts given at construction."""
        return dict(self._details)

    def _score(self, prompts: Sequence[str], advance: Advance) -> list[LabelScores]:
        """Return the scores of each prompt."""
        return self._prompted.engine.score(prompts, self._answers, advance=advance)

    def _read(self, result: LabelScores, text: str) -> Prediction:
        """Return the label that the scores stand for, and the labels' probabilities."""
        # a hosted model may tell no probabilities
        probabilities = dict(zip(self._labels, result.probabilities, strict=True)) if result.probabilities else {}
        answer = self._labels[result.choice]
        if self._calibration is not None and probabilities:
            answer, probabilities = self._calibration.label(probabilities)
        return Prediction(id="", answer=answer, probabilities=probabilities)
