"""Prediction by writing, for tasks whose answers are no closed set; and the right predictor for any task.

Whatever was fitted (nothing, demonstrations, an adapter), predicting is the same: word the prompt with the template,
let the engine write under the answer's schema, read the answer. JSON that was cut off or says nothing is a recorded
failure; a text that was cut off counts as far as it goes, as a server would send it. Probabilities are left out: there
is no closed set to spread them over. Not covered: labels (`llmtl.label_predictor`).
"""

from collections.abc import Mapping, Sequence
from heapq import nlargest
from math import ceil
from typing import Any, Protocol

from llmtl.engines.protocol import Engine, Generation
from llmtl.label_predictor import PromptPredictor
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.predictor import Prediction, Predictor
from llmtl.progress import Advance, unwatched
from llmtl.prompted import NOTHING, Asking, Demonstrations, Prompted, no_demonstrations
from llmtl.task import Example, Task, TaskKind
from llmtl.templates import Template

ANSWER_ROOM = 1.5
"""Tokens that an answer may have, as a multiple of the longest in train: a longer one is rather a model in a loop."""

LEAST_TOKENS = 16
"""Tokens that an answer may always have, however short those in train are."""

_CONTEXT_SHARE = 0.5
"""The most of the context that an answer may take: the prompt needs the rest."""

_COUNTED = 20
"""Of the longest answers by characters so many are counted in tokens: counting all of a large train set is slow."""


class PromptedPredictor(Predictor, Protocol):
    """A predictor that prompts a model."""

    def prompt_room(self) -> int:
        """Return the largest number of tokens a prompt may have beside the answer."""


def prompt_predictor(
    task: Task,
    engine: Engine,
    template: Template,
    *,
    train: Sequence[Example],
    demonstrations: Demonstrations = no_demonstrations,
    state: Mapping[str, Any] = NOTHING,
    details: Mapping[str, Any] = NOTHING,
    calibration: LabelCalibration | None = None,
) -> PromptedPredictor:
    """Return the predictor for a task of any kind; `train` says how long answers are, `calibration` is for labels."""
    if task.kind is TaskKind.CLASSIFICATION:
        return PromptPredictor(
            task,
            engine,
            template,
            demonstrations=demonstrations,
            state=state,
            details=details,
            calibration=calibration,
        )
    return TextPredictor(
        engine,
        template,
        max_tokens=answer_tokens(engine, template, train),
        demonstrations=demonstrations,
        state=state,
        details=details,
    )


def answer_tokens(engine: Engine, template: Template, train: Sequence[Example]) -> int:
    """Return how many tokens an answer may have, its end included: the task's bound, or 1.5 times the longest in train.

    Without a bound never less than 16; never more than half of the context. A prompt may have what the context leaves.
    """
    most = int(_CONTEXT_SHARE * engine.context_length)
    if template.task.max_output_tokens is not None:
        return min(template.task.max_output_tokens, most)
    references = {text for example in train for text in (example.reference, *example.alternatives)}
    written = nlargest(_COUNTED, map(template.answer, references), key=len)
    longest = max((engine.count_tokens(answer) + 1 for answer in written), default=0)
    return min(max(LEAST_TOKENS, ceil(ANSWER_ROOM * longest)), most)


class TextPredictor:
    """A predictor that lets `engine` write at most `max_tokens`, with the demonstrations chosen for each input.

    `state` and `details` are what the methods of the same names return.
    """

    def __init__(
        self,
        engine: Engine,
        template: Template,
        *,
        max_tokens: int,
        demonstrations: Demonstrations = no_demonstrations,
        state: Mapping[str, Any] = NOTHING,
        details: Mapping[str, Any] = NOTHING,
    ) -> None:
        self._prompted = Prompted(engine, template, demonstrations)
        self._max_tokens = max_tokens
        self._state = dict(state)
        self._details = dict(details)

    def predict(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return one prediction a text, in order; a text whose prompt does not fit the context is a failure."""
        return self._prompted.predict(texts, Asking(self._write, self._read, self.prompt_room()), advance)

    @property
    def max_tokens(self) -> int:
        """Return how many tokens an answer may have, its end included."""
        return self._max_tokens

    def prompt_room(self) -> int:
        """Return the largest number of tokens a prompt may have beside the longest answer."""
        return self._prompted.engine.context_length - self._max_tokens

    def state(self) -> dict[str, Any]:
        """Return the JSON-able choices given at construction."""
        return dict(self._state)

    def details(self) -> dict[str, Any]:
        """Return the JSON-able facts given at construction, and how long an answer may be."""
        return {**self._details, "max_tokens": self._max_tokens}

    def _write(self, prompts: Sequence[str], advance: Advance) -> list[Generation]:
        """Return what was written after each prompt."""
        template = self._prompted.template
        return self._prompted.engine.generate(
            prompts, max_tokens=self._max_tokens, schema=template.schema(), stop=template.stop, advance=advance
        )

    def _read(self, result: Generation, text: str) -> Prediction:
        """Return the answer that was written for the input `text`, or why it is none."""
        read = self._prompted.template.read(result.text, text)
        failure = None if read.answer is not None else self._failure(result)
        return Prediction(id="", answer=read.answer, failure=failure, dropped_spans=read.dropped)

    def _failure(self, result: Generation) -> str:
        """Return why what was written is no answer."""
        if not result.finished:
            return (
                f"The answer was cut off at {self._max_tokens} tokens and is no valid JSON; it began {result.text:.60}"
            )
        return f"The answer cannot be read: {result.text:.60}" if result.text.strip() else "The model wrote nothing."
