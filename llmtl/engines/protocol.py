"""The seam between strategies and whatever runs the model.

An engine gets prompts as finished text (special tokens included) and answers as text; it knows nothing about tasks,
templates or labels' meaning. Not covered: sampling; everything is greedy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from llmtl.progress import Advance
from llmtl.values import Message

Precision = Literal["float32", "bfloat16"]
Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class ModelSource:
    """Where a checkpoint comes from (a Hub name or a folder), an optional LoRA adapter, and the numbers it runs in."""

    name: str
    revision: str | None = None
    adapter: Path | None = None
    dtype: Dtype = "auto"

    def precision(self, device: str) -> Precision:
        """Choose the number format for `cpu` or `cuda`: auto is bfloat16 on a GPU, else float32.

        A CPU may be faster in bfloat16, but then only 95-99% of its labels equal those of float32; where that is worth
        it, the pipeline replaces auto (`llmtl.pipeline.precision`).
        """
        if self.dtype != "auto":
            return self.dtype
        return "float32" if device == "cpu" else "bfloat16"

    def tuned(self, folder: Path | None) -> "ModelSource":
        """Name what a training left of this model in `folder`, a checkpoint or else an adapter; None is the model."""
        if folder is not None and (folder / "config.json").is_file():
            return replace(self, name=str(folder), revision=None, adapter=None)
        return replace(self, adapter=folder)


@dataclass(frozen=True)
class LabelScores:
    """The outcome of constrained decoding of one prompt over A answers.

    `choice`: index of the answer reached by greedy decoding through the answer trie.
    `probabilities`: A numbers that sum to 1; each the product, along the answer's path, of next-token probabilities
    renormalised over the tokens the trie allows at that branch. Empty for a hosted model that reports none.
    `prompt_tokens` counts the whole prompt, `cached_tokens` the part served from a shared-prefix KV cache,
    `completion_tokens` those of the chosen answer. `seconds`: this prompt's share of the batch's wall time.
    """

    choice: int
    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True)
class Generation:
    """Text written after one prompt, by greedy decoding, without the end of the answer.

    `finished` is false when it was cut off at the token limit. Token counts and seconds as in `LabelScores`. `logprob`
    is the natural logarithm of the sequence's probability: the sum over all tokens written, the one that ends the
    answer included, each among those that the schema allows there. None where a hosted model does not say.
    """

    text: str
    finished: bool
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float
    logprob: float | None = None


@dataclass(frozen=True)
class TextLoss:
    """The negative log-likelihood of a text in nats, summed over its `tokens` that were predicted."""

    nats: float
    tokens: int


class Engine(Protocol):
    """A loaded model that can score a closed set of answers and write text."""

    @property
    def name(self) -> str:
        """The engine's name in a recipe, such as `transformers`."""

    @property
    def device(self) -> str:
        """Where the model runs: `cpu` or `cuda`."""

    @property
    def remembers(self) -> bool:
        """Whether a prompt that was read before takes less time than a new one, beyond the part that prompts share."""

    @property
    def context_length(self) -> int:
        """The most tokens that prompt and answer may have together."""

    @property
    def chat_template(self) -> str | None:
        """The model's own chat template; None for a base model."""

    def render(self, messages: Sequence[Message]) -> str:
        """Write the conversation as prompt text with the chat template, generation prompt included.

        Raises `ModelError` when the model has no chat template, or when the template rejects the conversation (some
        have no system role).
        """

    @property
    def bos(self) -> str:
        """The text of the beginning-of-sequence token, or an empty string."""

    @property
    def end_of_answer(self) -> str:
        """The text of the token that ends an answer, such as `</s>`."""

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """The texts that the tokenizer reads as control tokens; a user's text must not contain them."""

    def count_tokens(self, text: str) -> int:
        """Count the tokens of `text` as it stands (no special token added)."""

    def score(self, prompts: Sequence[str], answers: Sequence[str], *, advance: Advance = ...) -> list[LabelScores]:
        """Score the answers, one `LabelScores` per prompt, in order; a prefix that prompts share is computed once.

        Raises `ContextLengthError` when a prompt with its longest answer does not fit.
        """

    def generate(
        self,
        prompts: Sequence[str],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        stop: str | None = None,
        advance: Advance = ...,
    ) -> list[Generation]:
        """Write at most `max_tokens` tokens greedily after each prompt; one `Generation` per prompt, in order.

        With a JSON `schema`, only JSON that follows it can come out, with `, ` and `: ` as the only white space, as
        `json.dumps` writes. The text `stop` ends an answer and is not part of it. Raises `ContextLengthError` when
        a prompt with `max_tokens` does not fit.
        """

    def close(self) -> None:
        """Free the model's memory; the engine cannot be used afterwards."""


@runtime_checkable
class LossReader(Protocol):
    """An engine that says how well its model predicts given texts."""

    def losses(self, texts: Sequence[str], *, advance: Advance = ...) -> list[TextLoss]:
        """Read the loss of each text, in order, each by itself; tokens beyond the context are left out."""
