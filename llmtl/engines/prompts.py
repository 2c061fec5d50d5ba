"""Prompts as tokens, checked to leave room for an answer, for every engine that reads tokens itself.

Not covered: what is written behind them (`llmtl.engines.written`), wording (`llmtl.templates`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.engines.tokens import AnswerTries, encode
from llmtl.engines.trie import Trie
from llmtl.errors import ContextLengthError, ModelError


@dataclass(frozen=True)
class PromptTokens:
    """One prompt waiting to be scored, with the trie of its answers; `position` is its place in the call."""

    position: int
    ids: tuple[int, ...]
    trie: Trie


def prompt_tokens(
    tokenizer: Any, tries: AnswerTries, prompts: Sequence[str], *, answers: Sequence[str], context_length: int
) -> list[PromptTokens]:
    """Return the prompts as tokens with their answer tries.

    Raises `ContextLengthError` where a prompt with its longest answer does not fit.
    """
    items = []
    for position, (prompt, ids) in enumerate(zip(prompts, encode(tokenizer, prompts), strict=True)):
        _require_words(ids)
        trie = tries.after(prompt, ids, answers)
        _require_room(ids, max(trie.lengths), context_length)
        items.append(PromptTokens(position, tuple(ids), trie))
    return items


def prompts_to_continue(
    tokenizer: Any, prompts: Sequence[str], *, max_tokens: int, context_length: int
) -> list[tuple[int, ...]]:
    """Return the prompts as tokens; raises `ContextLengthError` where one with `max_tokens` more does not fit."""
    if max_tokens < 1:
        raise ModelError(f"'max_tokens' must be at least 1, got {max_tokens}.")
    found = [tuple(ids) for ids in encode(tokenizer, prompts)]
    for ids in found:
        _require_words(ids)
        _require_room(ids, max_tokens, context_length)
    return found


def _require_words(ids: Sequence[int]) -> None:
    """Raise `ModelError` for a prompt without tokens."""
    if not ids:
        raise ModelError("An empty prompt cannot be answered; give it at least one word.")


def _require_room(ids: Sequence[int], answer: int, context_length: int) -> None:
    """Raise `ContextLengthError` unless prompt and answer fit the context together."""
    if len(ids) + answer > context_length:
        raise ContextLengthError(
            f"A prompt has {len(ids)} tokens and its answer up to {answer}, but the model's context is "
            f"{context_length} tokens; use fewer demonstrations, shorter inputs or another model."
        )
