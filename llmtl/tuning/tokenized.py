"""Turn training examples into token ids, with the loss on the answer only.

The ids are those that the engine scores, made by the engine's own functions: the prompt's ids, then the answer's as it
follows that prompt (no merge crosses the boundary), then the end-of-answer token. An example that is too long is left
out, never truncated: truncation would cut off the answer, or train on a prompt that never occurs in serving. An input
with several references is trained on with each of them, as all are right (Dusek et al. 2020, "Evaluating the
State-of-the-Art of End-to-End Natural Language Generation": how systems for several references are trained). Not
covered: wording (`llmtl.prompting.template`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from llmtl.engines.tokens import continuations, encode
from llmtl.errors import TrainingError
from llmtl.task import Example

IGNORED = -100
"""The label of a token without loss (the default `ignore_index` of torch.nn.CrossEntropyLoss)."""


class Wording(Protocol):
    """The part of `llmtl.prompting.template.Template` that training needs."""

    @property
    def end(self) -> str:
        """The text of the end-of-answer token, such as `</s>`."""

    def prompt(self, text: str) -> str:
        """Write the zero-shot prompt for an input."""

    def answer(self, label: str) -> str:
        """Write a label as the model should answer it."""


@dataclass(frozen=True)
class TokenizedExample:
    """T token ids and T labels; a label is `IGNORED` over the prompt and the token itself over answer and end."""

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]


def tokenize(example: Example, wording: Wording, tokenizer: Any) -> TokenizedExample:
    """Turn an example into ids, with the loss on its answer and end token."""
    text = wording.prompt(example.text)
    [prompt, end] = encode(tokenizer, [text, wording.end])
    [answer] = continuations(tokenizer, text, [wording.answer(example.reference)])
    # ids and labels stand at the same places (T); the model shifts the labels by one token itself
    return TokenizedExample((*prompt, *answer, *end), (*(IGNORED for _ in prompt), *answer, *end))


def each_reference(examples: Sequence[Example]) -> tuple[Example, ...]:
    """Repeat each example with each of its references, the main one first."""
    return tuple(
        replace(example, reference=reference, alternatives=())
        for example in examples
        for reference in (example.reference, *example.alternatives)
    )


def fitting(
    examples: Sequence[Example], wording: Wording, tokenizer: Any, *, max_length: int
) -> tuple[TokenizedExample, ...]:
    """Tokenize the examples in order, and leave out those longer than `max_length` tokens."""
    tokenized = (tokenize(example, wording, tokenizer) for example in examples)
    return tuple(example for example in tokenized if len(example.input_ids) <= max_length)


def require_answers(kept: Sequence[TokenizedExample], *, total: int, max_length: int, context_length: int) -> None:
    """Raise `TrainingError` if there is no example, or none whose answer fits."""
    if total == 0:
        raise TrainingError("There is no training example; give at least one, or leave tuning out.")
    if kept:
        return
    cure = (
        f"raise 'max_length' (the model takes {context_length})"
        if max_length < context_length
        else "shorten the inputs or the label list, or use a model with a longer context"
    )
    raise TrainingError(
        f"None of the {total} training examples keeps its answer within {max_length} tokens, so there is nothing to "
        f"learn from; {cure}."
    )
