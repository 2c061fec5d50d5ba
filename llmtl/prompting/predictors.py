"""Predictors that prompt a model: word the prompts, ask for those that fit, read the answers, record failures.

Whatever was fitted (nothing, demonstrations, an adapter), predicting is the same. `LabelPredictor` scores a closed set
of labels. `TextPredictor` lets the engine write under the answer's schema: JSON that was cut off or says nothing is a
recorded failure; a text that was cut off counts as far as it goes, as a server would send it. A prompt that does not
fit the context is a recorded failure too, so that one long input never ends a run. Not covered: choosing demonstrations
(`llmtl.prompting.search`), training (`llmtl.tuning`), the wording (`llmtl.prompting.template`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from math import ceil
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from llmtl.engines.protocol import Engine, Generation, LabelScores
from llmtl.errors import ContextLengthError, UnreadableAnswerError
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.progress import Advance, unwatched
from llmtl.prompting.template import Template
from llmtl.strategy import Prediction
from llmtl.task import Example, Input, Task, texts_of

Demonstrations = Callable[[str], Sequence[Example]]
"""Call it with an input; it returns the demonstrations for that input's prompt, in prompt order."""

Result = TypeVar("Result", LabelScores, Generation)


def no_demonstrations(text: str) -> Sequence[Example]:
    """Show no demonstrations, whatever the text: zero-shot."""
    del text
    return ()


@dataclass(frozen=True)
class Asking(Generic[Result]):
    """How a predictor asks: `ask` gives a result a prompt and `read` what it predicts for the input.

    Of the prediction that `read` returns, place, tokens and seconds are filled in here. Prompts have up to `room`
    tokens.
    """

    ask: Callable[[Sequence[str], Advance], Sequence[Result]]
    read: Callable[[Result, str], Prediction]
    room: int


@dataclass(frozen=True)
class Prompted:
    """A model, the wording, and the demonstrations chosen for each input."""

    engine: Engine
    template: Template
    demonstrations: Demonstrations = no_demonstrations

    def predict(self, texts: Sequence[str], how: Asking[Result], advance: Advance) -> list[Prediction]:
        """Predict in order, one per text; a text whose prompt does not fit the context is a failure.

        Seconds of a prediction include finding the demonstrations and wording the prompt, since a server spends them
        too.
        """
        worded = [self._word(text) for text in texts]
        lengths = [self.engine.count_tokens(prompt) for prompt, _ in worded]
        fitting = [position for position, length in enumerate(lengths) if length <= how.room]
        advance(len(texts) - len(fitting))
        results = dict(zip(fitting, _each(how.ask, [worded[each][0] for each in fitting], advance), strict=True))
        found = []
        for position, (_, seconds) in enumerate(worded):
            result = results.get(position, _too_long(lengths[position], how.room))
            if isinstance(result, str):
                found.append(Prediction(id=str(position), answer=None, failure=result, seconds=seconds))
            else:
                found.append(_filled_in(how.read(result, texts[position]), position, result, seconds))
        return found

    def _word(self, text: str) -> tuple[str, float]:
        """Return the prompt for `text`, and the seconds it took to find its demonstrations and word it."""
        start = perf_counter()
        prompt = self.template.prompt(text, self.demonstrations(text))
        return prompt, perf_counter() - start


def _each(
    ask: Callable[[Sequence[str], Advance], Sequence[Result]], prompts: Sequence[str], advance: Advance
) -> list[Result | str]:
    """Return the result of each prompt, or why it has none.

    Counting tokens apart can be off by one where prompt and answer merge, so the engine has the last word.
    """
    if not prompts:
        return []
    try:
        return list(ask(prompts, advance))
    except (ContextLengthError, UnreadableAnswerError) as error:
        if len(prompts) == 1:
            advance(1)
            return [str(error)]
    return [result for prompt in prompts for result in _each(ask, [prompt], advance)]


def _filled_in(prediction: Prediction, position: int, result: LabelScores | Generation, seconds: float) -> Prediction:
    """Return the prediction with what the engine counted, and `seconds` spent on the prompt."""
    return replace(
        prediction,
        id=str(position),
        prompt_tokens=result.prompt_tokens,
        cached_tokens=result.cached_tokens,
        completion_tokens=result.completion_tokens,
        seconds=result.seconds + seconds,
    )


def _too_long(length: int, room: int) -> str:
    """Return why a prompt of `length` tokens has no prediction."""
    return (
        f"The prompt has {length} tokens and the model's context leaves room for {room}; shorten the input or use a "
        "model with a longer context."
    )


_END_TOKENS = 1  # the end-of-answer token, which the engine adds to every answer


class LabelPredictor:
    """A predictor that asks `engine` for one of the task's labels, with the demonstrations chosen for each input.

    With a `calibration` the label is the likeliest one after it.
    """

    def __init__(
        self,
        task: Task,
        engine: Engine,
        template: Template,
        *,
        demonstrations: Demonstrations = no_demonstrations,
        calibration: LabelCalibration | None = None,
    ) -> None:
        self._labels = task.labels
        self._prompted = Prompted(engine, template, demonstrations)
        self._calibration = calibration
        self._answers = [template.answer(label) for label in task.labels]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one per text; a text whose prompt does not fit the context is a failure."""
        texts = texts_of(inputs)
        return self._prompted.predict(texts, Asking(self._score, self._read, self.prompt_room()), advance)

    def prompt_room(self) -> int:
        """Say how many tokens a prompt may have, at most, beside the longest answer and its end token."""
        engine = self._prompted.engine
        return engine.context_length - max(map(engine.count_tokens, self._answers)) - _END_TOKENS

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


ANSWER_ROOM = 1.5
"""Tokens that an answer may have, as a multiple of the longest in train: a longer one is rather a model in a loop."""

LEAST_TOKENS = 16
"""Tokens that an answer may always have, however short those in train are."""

_CONTEXT_SHARE = 0.5
"""The most of the context that an answer may take: the prompt needs the rest."""

_COUNTED = 20
"""Of the longest answers by characters so many are counted in tokens: counting all of a large train set is slow."""


class Asker(Protocol):
    """What predicts by prompting a loaded model."""

    def predict(self, inputs: Sequence[Input], *, advance: Advance = ...) -> list[Prediction]:
        """Predict in order, one prediction per text; a text whose prompt does not fit the context is a failure."""

    def prompt_room(self) -> int:
        """Say how many tokens a prompt may have, at most, beside the answer."""


def prompt_predictor(
    task: Task,
    engine: Engine,
    template: Template,
    *,
    max_tokens: int | None,
    demonstrations: Demonstrations = no_demonstrations,
    calibration: LabelCalibration | None = None,
) -> Asker:
    """Make the predictor for a task of any kind; see `answer_room` for `max_tokens`, `calibration` is for labels."""
    if max_tokens is None:
        return LabelPredictor(task, engine, template, demonstrations=demonstrations, calibration=calibration)
    return TextPredictor(engine, template, max_tokens=max_tokens, demonstrations=demonstrations)


def answer_room(engine: Engine, template: Template, train: Sequence[Example]) -> int | None:
    """Say how many tokens a written answer may have; None where labels are scored instead."""
    return None if template.task.kind.one_label else answer_tokens(engine, template, train)


def answer_tokens(engine: Engine, template: Template, train: Sequence[Example]) -> int:
    """Say how many tokens an answer may have, its end included: the task's bound, or 1.5 times the longest in train.

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
    """A predictor that lets `engine` write at most `max_tokens`, with the demonstrations chosen for each input."""

    def __init__(
        self,
        engine: Engine,
        template: Template,
        *,
        max_tokens: int,
        demonstrations: Demonstrations = no_demonstrations,
    ) -> None:
        self._prompted = Prompted(engine, template, demonstrations)
        self._max_tokens = max_tokens

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one per text; a text whose prompt does not fit the context is a failure."""
        texts = texts_of(inputs)
        return self._prompted.predict(texts, Asking(self._write, self._read, self.prompt_room()), advance)

    @property
    def max_tokens(self) -> int:
        """Say how many tokens an answer may have, its end included."""
        return self._max_tokens

    def prompt_room(self) -> int:
        """Say how many tokens a prompt may have, at most, beside the longest answer."""
        return self._prompted.engine.context_length - self._max_tokens

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
        return Prediction(
            id="", answer=read.answer, failure=failure, dropped_spans=read.dropped, logprob=result.logprob
        )

    def _failure(self, result: Generation) -> str:
        """Return why the output is not an answer."""
        if not result.finished:
            return (
                f"The answer was cut off at {self._max_tokens} tokens and is not valid JSON; it began {result.text:.60}"
            )
        return f"The answer cannot be read: {result.text:.60}" if result.text.strip() else "The model wrote nothing."
