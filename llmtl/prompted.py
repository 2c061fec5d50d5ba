"""What all predictors that prompt a model share: word the prompts, ask for those that fit, time it, record failures.

A prompt that does not fit the context is a recorded failure, so that one long input never ends a run. Not covered: what
is asked (`llmtl.label_predictor`, `llmtl.text_predictor`), the wording (`llmtl.templates`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from llmtl.engines.protocol import Engine, Generation, LabelScores
from llmtl.errors import ContextLengthError, UnreadableAnswerError
from llmtl.predictor import Prediction
from llmtl.progress import Advance
from llmtl.task import Example
from llmtl.templates import Template

Demonstrations = Callable[[str], Sequence[Example]]
"""Call it with an input; it returns the demonstrations for that input's prompt, in prompt order."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

Result = TypeVar("Result", LabelScores, Generation)


def no_demonstrations(text: str) -> Sequence[Example]:
    """Return no demonstrations, whatever the text: zero-shot."""
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
        """Return one prediction a text, in order; a text whose prompt does not fit the context is a failure.

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
