"""Prompts as tokens, each with the trie of what may follow it, for every engine that reads tokens itself.

Not covered: generation (`llmtl.engines.generation`), wording (`llmtl.templates`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.engines.tokens import AnswerTries, encode
from llmtl.engines.trie import Trie
from llmtl.errors import ContextLengthError, ModelError


@dataclass(frozen=True)
class PromptTokens:
    """One prompt waiting to be scored; `position` is its place in the call."""

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
        if not ids:
            raise ModelError("An empty prompt cannot be scored; give it at least one word.")
        trie = tries.after(prompt, ids, answers)
        longest = max(trie.lengths)
        if len(ids) + longest > context_length:
            raise ContextLengthError(
                f"A prompt has {len(ids)} tokens and its longest answer {longest}, but the model's context is "
                f"{context_length} tokens; use fewer demonstrations, shorter inputs or another model."
            )
        items.append(PromptTokens(position, tuple(ids), trie))
    return items
