"""Turn text into tokens: prompts, checked to leave room for an answer, and answers as they follow a prompt.

Tuning uses these functions too, so that a model is trained on the very tokens it is later scored on. Not covered: the
wording (`llmtl.prompting.template`), which already holds every special token; what a model writes after a prompt
(`llmtl.engines.endings`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.engines.trie import Trie, build_trie
from llmtl.errors import ContextLengthError, ModelError

_TAIL = 4
"""How many of a prompt's last tokens decide how the answer after it is split: merges reach no further back."""

_KEPT_TRIES = 256
"""Tries kept by an engine: bounds its memory when every prompt ends differently."""

_ANCHORS = ("", "\n", ":")
"""Texts put before an answer to encode it on its own; a tokenizer that adds a prefix space needs a non-empty one."""


def encode(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Encode each text as it stands: special tokens in the text are read, none are added."""
    if not texts:
        return []
    return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]


def encode_plain(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Encode each text as plain text: behind the token that the model's texts begin with, if its tokenizer adds one.

    The first token is then not predicted: that of the beginning, or where there is none the text's own.
    """
    return [list(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"]] if texts else []


def continuations(tokenizer: Any, prompt: str, answers: Sequence[str]) -> list[list[int]]:
    """Encode each answer as it follows `prompt`, whose own tokens stay as they are.

    Where the tokenizer would merge the prompt's end with the answer's start, the answer is encoded by itself, so that
    prompt and answer still decode to the same text. Raises `ModelError` when no encoding does, or when the answer has
    characters that the vocabulary lacks.
    """
    [prompt_ids] = encode(tokenizer, [prompt])
    found = []
    for answer, ids in zip(answers, encode(tokenizer, [prompt + answer for answer in answers]), strict=True):
        follows = ids[: len(prompt_ids)] == prompt_ids
        tail = ids[len(prompt_ids) :] if follows else _alone(tokenizer, prompt_ids, answer)
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in tail:
            raise ModelError(f"The model's vocabulary cannot spell the label '{answer.strip()}'; rename it.")
        found.append(tail)
    return found


class AnswerTries:
    """The trie of a set of answers after each prompt; prompts after which answers are split alike share one."""

    def __init__(self, tokenizer: Any, end: int) -> None:
        self._tokenizer = tokenizer
        self._end = end
        self._special = frozenset(tokenizer.all_special_ids)
        self._tries: dict[tuple[tuple[str, ...], tuple[int, ...]], Trie] = {}
        self._unique: dict[Trie, Trie] = {}

    def after(self, prompt: str, prompt_ids: Sequence[int], answers: Sequence[str]) -> Trie:
        """Build the trie of `answers` after `prompt`, whose tokens are `prompt_ids`, or take it from the cache."""
        key = (tuple(answers), self._tail(prompt_ids))
        if key not in self._tries:
            if len(self._tries) >= _KEPT_TRIES:
                self._tries.clear()
                self._unique.clear()
            trie = build_trie(continuations(self._tokenizer, prompt, answers), self._end)
            self._tries[key] = self._unique.setdefault(trie, trie)
        return self._tries[key]

    def _tail(self, prompt_ids: Sequence[int]) -> tuple[int, ...]:
        """Take the last few tokens, back to a special token or a new line at most: no merge crosses either."""
        tail: list[int] = []
        for token in reversed(prompt_ids[-_TAIL:]):
            tail.append(token)
            if token in self._special or "\n" in _decode(self._tokenizer, [token]):
                break
        return tuple(reversed(tail))


def shared_length(sequences: Sequence[tuple[int, ...]]) -> int:
    """Count the tokens that all sequences begin with."""
    if not sequences:
        return 0
    first, last = min(sequences), max(sequences)  # in dictionary order: whatever these two share, all share
    return next((index for index, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))


def _alone(tokenizer: Any, prompt_ids: Sequence[int], answer: str) -> list[int]:
    """Encode `answer` by itself so that it reads as `answer` after the prompt."""
    expected = _decode(tokenizer, prompt_ids) + answer
    for anchor in _ANCHORS:
        before, after = encode(tokenizer, [anchor, anchor + answer])
        candidate = after[len(before) :]
        if after[: len(before)] == before and _decode(tokenizer, [*prompt_ids, *candidate]) == expected:
            return candidate
    raise ModelError(f"The model's tokenizer cannot write the label '{answer.strip()}' after the prompt; rename it.")


def _decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Decode `ids`, special tokens included."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


@dataclass(frozen=True)
class PromptTokens:
    """One prompt waiting to be scored, with the trie of its answers; `position` is its place in the call."""

    position: int
    ids: tuple[int, ...]
    trie: Trie


def prompt_tokens(
    tokenizer: Any, tries: AnswerTries, prompts: Sequence[str], *, answers: Sequence[str], context_length: int
) -> list[PromptTokens]:
    """Encode the prompts and build their answer tries.

    Raises `ContextLengthError` if a prompt with its longest answer does not fit.
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
    """Encode the prompts; raise `ContextLengthError` if one does not fit with `max_tokens` more."""
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
