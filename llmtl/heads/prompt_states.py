"""The hidden states of inputs in a prompt, read in chunks: all of dev, and as much of train as time allows.

States are held in float16. Not covered: the forward pass (`llmtl.engines.transformers.states`), which layers and
positions are of use.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from llmtl.classical.grid import training_examples
from llmtl.errors import ContextLengthError
from llmtl.findings import Cut, Unit, cut_short
from llmtl.prompting.template import Template
from llmtl.strategy import FitContext, Prediction
from llmtl.task import Example

CHUNK = 128
"""Prompts whose states are read at once: bounds the memory of predicting, and how finely a time limit is kept."""
READING_SHARE = 0.6
"""The part of the time for fitting after which no more training examples are read."""

Read = Callable[[Sequence[str]], tuple[Any, list[int]]]
"""From texts to the states, (N, ...), of those whose prompts fit the context, and the tokens of every prompt."""


@dataclass(frozen=True)
class PromptReader:
    """Reads the states of the zero-shot prompt of inputs."""

    context: FitContext

    def read(self, texts: Sequence[str]) -> tuple[Any, list[int]]:
        """Read the states, (N, layers, 2, width), of the prompts that fit the context, and count all prompts' tokens.

        Raises `ContextLengthError` when the engine gives no states.
        """
        engine = state_reader(self.context)
        template = Template(self.context.task, engine)
        prompts = [template.prompt(text) for text in texts]
        tokens = [engine.count_tokens(prompt) for prompt in prompts]
        fitting = [prompt for prompt, count in zip(prompts, tokens, strict=True) if count < engine.context_length]
        return engine.states(fitting, head=prompt_head(template)), tokens

    def room(self) -> int:
        """Say how many tokens a prompt may have, at most."""
        return self.context.load_engine(None).context_length - 1


def state_reader(context: FitContext) -> Any:
    """Load the engine; raises `ContextLengthError` when it gives no states."""
    from llmtl.engines.transformers.states import StateReader

    engine = context.load_engine(None)
    if not isinstance(engine, StateReader):
        raise ContextLengthError(
            f"The engine '{engine.name}' does not give the hidden states of all layers; set model.engine=transformers."
        )
    return engine


def prompt_head(template: Any) -> str:
    """Find what the prompts of all inputs begin with."""
    first, second = template.prompt("a"), template.prompt("0")
    at = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
    return str(first[:at])


def read_all(read: Read, examples: Sequence[Example], context: FitContext, *, name: str, room: int) -> list[Any]:
    """Read the states of examples, chunk by chunk; raise `ContextLengthError` where a prompt does not fit."""
    found = []
    with context.progress.stage(f"{name}: reading dev", len(examples)) as advance:
        for at in range(0, len(examples), CHUNK):
            part = examples[at : at + CHUNK]
            states, tokens = read([example.text for example in part])
            if max(tokens) > room:
                raise ContextLengthError(too_long(max(tokens), room))
            found.append(states)
            advance(len(part))
    return found


def read_in_time(
    read: Read, examples: Sequence[Example], context: FitContext, *, name: str, room: int, until: float | None
) -> tuple[list[Example], list[Any], tuple[Cut, ...]]:
    """Read the states of training examples until a moment of `perf_counter`, at least one chunk of them.

    Those that do not fit the context are left out; raises `ContextLengthError` where none fits. The last value says
    what was not read for want of time.
    """
    read_so_far, known = 0, list[Example]()
    found: list[Any] = []
    with context.progress.stage(f"{name}: reading train", len(examples)) as advance:
        for at in range(0, len(examples), CHUNK):
            if found and until is not None and perf_counter() > until:
                context.progress.say(f"{name}: time for {len(known):,} of {len(examples):,} training examples")
                break
            part = examples[at : at + CHUNK]
            states, tokens = read([example.text for example in part])
            read_so_far += len(part)
            known += [example for example, count in zip(part, tokens, strict=True) if count <= room]
            if len(states):
                found.append(states)
            advance(len(part))
    if not known:
        raise ContextLengthError(
            f"No training prompt fits the model's context of {room + 1} tokens; shorten the texts."
        )
    return known, found, cut_short(read_so_far, len(examples), Unit.EXAMPLES)


def shuffled_train(context: FitContext) -> list[Example]:
    """List train in random order, so that a part of it is a fair sample; raises `DataError` when it is empty."""
    train = list(training_examples(context))
    random.Random(context.seed).shuffle(train)
    return train


def affordable(seconds: float | None, each: float) -> int | None:
    """Count the inputs that a probe may read in some seconds, at `each` seconds apiece, 8 at least; None for all."""
    return None if seconds is None else max(8, int(seconds / max(each, 1e-6)))


def spread_layers(count: int, most: int) -> list[int]:
    """List at most `most` layers, the last first, evenly spaced down to the first behind the embeddings."""
    step = max(1.0, (count - 1) / most)
    return sorted({round(count - 1 - step * at) for at in range(min(most, count - 1))}, reverse=True)


def of_prompts(
    made: Iterable[Prediction], tokens: Sequence[int], room: int, *, first: int, start: float
) -> list[Prediction]:
    """Put the predictions of prompts that fit between the failures of those that do not; number and time all of them.

    `tokens` are those of every prompt, `start` is when the first was begun, by `perf_counter`.
    """
    fitting = iter(made)
    found = [
        replace(next(fitting), prompt_tokens=count)
        if count <= room
        else Prediction("", None, failure=too_long(count, room))
        for count in tokens
    ]
    each = (perf_counter() - start) / len(tokens)
    return [replace(item, id=str(at), seconds=each) for at, item in enumerate(found, start=first)]


def too_long(tokens: int, room: int) -> str:
    """Say why a prompt has no states."""
    return f"The prompt has {tokens} tokens and the model reads {room}; shorten the input or use a longer context."
