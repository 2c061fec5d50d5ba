"""Prediction by prompting: the predictor that zero-shot, few-shot and tuned models share.

Whatever was fitted (nothing, a set of demonstrations, a LoRA adapter), predicting is the same: word the prompt with the
template, score the labels with the engine, keep what came out. A prompt that does not fit the context is a recorded
failure, so that one long input never ends a run. Not covered: choosing demonstrations (`llmtl.prompting`), training
(`llmtl.tuning`), the wording (`llmtl.templates`).
"""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from types import MappingProxyType
from typing import Any

from llmtl.engines.protocol import Engine, LabelScores
from llmtl.errors import ContextLengthError, UnreadableAnswerError
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.predictor import Prediction
from llmtl.progress import Advance, unwatched
from llmtl.task import Example, Task
from llmtl.templates import Template

Demonstrations = Callable[[str], Sequence[Example]]
"""Call it with an input; it returns the demonstrations for that input's prompt, in prompt order."""

_END_TOKENS = 1  # the end-of-answer token, which the engine adds to every answer
NOTHING: Mapping[str, Any] = MappingProxyType({})


def no_demonstrations(text: str) -> Sequence[Example]:
    """Return no demonstrations, whatever the text: zero-shot."""
    del text
    return ()


class PromptPredictor:
    """A predictor that asks `engine` for one of the task's labels, with the demonstrations chosen for each input.

    `state` and `details` are what the methods of the same names return. With a `calibration` the label is the likeliest
    one after it. Seconds of a prediction include finding the
    demonstrations and wording the prompt, since a server spends them too.
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
        self._task = task
        self._engine = engine
        self._template = template
        self._demonstrations = demonstrations
        self._state = dict(state)
        self._details = dict(details)
        self._calibration = calibration
        self._answers = [template.answer(label) for label in task.labels]

    def predict(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return one prediction a text, in order; a text whose prompt does not fit the context is a failure."""
        worded = [self._word(text) for text in texts]
        room = self.prompt_room()
        lengths = [self._engine.count_tokens(prompt) for prompt, _ in worded]
        fitting = [position for position, length in enumerate(lengths) if length <= room]
        advance(len(texts) - len(fitting))
        results = dict(zip(fitting, self._score([worded[each][0] for each in fitting], advance), strict=True))
        return [
            self._prediction(position, results.get(position, too_long(lengths[position], room)), seconds)
            for position, (_, seconds) in enumerate(worded)
        ]

    def prompt_room(self) -> int:
        """Return the largest number of tokens a prompt may have beside the longest answer and its end token."""
        longest = max(self._engine.count_tokens(answer) for answer in self._answers)
        return self._engine.context_length - longest - _END_TOKENS

    def state(self) -> dict[str, Any]:
        """Return the JSON-able choices given at construction."""
        return dict(self._state)

    def details(self) -> dict[str, Any]:
        """Return the JSON-able facts given at construction."""
        return dict(self._details)

    def _word(self, text: str) -> tuple[str, float]:
        """Return the prompt for `text`, and the seconds it took to find its demonstrations and word it."""
        start = perf_counter()
        prompt = self._template.prompt(text, self._demonstrations(text))
        return prompt, perf_counter() - start

    def _score(self, prompts: Sequence[str], advance: Advance) -> list[LabelScores | str]:
        """Return the scores of each prompt, or why it has none.

        Counting tokens apart can be off by one where prompt and answer merge, so the engine has the last word.
        """
        try:
            return list(self._engine.score(prompts, self._answers, advance=advance))
        except (ContextLengthError, UnreadableAnswerError) as error:
            if len(prompts) == 1:
                advance(1)
                return [str(error)]
        return [result for prompt in prompts for result in self._score([prompt], advance)]

    def _prediction(self, position: int, result: LabelScores | str, seconds: float) -> Prediction:
        """Return the prediction that the scores stand for, or the recorded failure."""
        if isinstance(result, str):
            return Prediction(id=str(position), answer=None, failure=result, seconds=seconds)
        labels = self._task.labels
        # a hosted model may tell no probabilities
        probabilities = dict(zip(labels, result.probabilities, strict=True)) if result.probabilities else {}
        answer = labels[result.choice]
        if self._calibration is not None and probabilities:
            answer, probabilities = self._calibration.label(probabilities)
        return Prediction(
            id=str(position),
            answer=answer,
            probabilities=probabilities,
            prompt_tokens=result.prompt_tokens,
            cached_tokens=result.cached_tokens,
            completion_tokens=result.completion_tokens,
            seconds=result.seconds + seconds,
        )


def too_long(length: int, room: int) -> str:
    """Return why a prompt of `length` tokens has no prediction."""
    return (
        f"The prompt has {length} tokens and the model's context leaves room for {room}; shorten the input or use a "
        "model with a longer context."
    )
