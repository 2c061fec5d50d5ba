"""Read the hidden states of prompts: of every layer, at the last token, as a mean from a place on, or at given places.

The prompts make a pass of their own, without the trees of answers that scoring lays behind them: states of train are
needed, which is never scored, and keeping those of every scored prompt would cost memory that most runs need not
spend. Not covered: models trained to embed; engines that give the last layer only.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmtl.engines.tokens import encode, prompts_to_continue, shared_length
from llmtl.engines.transformers.attention import Prefix, TreeForward
from llmtl.engines.transformers.memory import fewer_at_once
from llmtl.errors import ModelError

States = NDArray[np.float16]

BATCH_TOKENS = 2048
"""Tokens of one forward pass, without the shared ones; one prompt may have more."""

Compute = Callable[[Prefix, Sequence[int]], Sequence[States]]
"""From the tokens that all prompts share, and the numbers of some prompts, to the states of each."""


@runtime_checkable
class StateReader(Protocol):
    """An engine that gives the hidden states of all layers."""

    layers: int
    """How many layers have states, the embeddings counted as the first."""

    def states(self, prompts: Sequence[str], *, head: str = "") -> States:
        """Read the states of each prompt, (N, layers, 2, width), the embeddings as the first layer.

        Of the two positions the first is the prompt's last token, the second the mean over the tokens behind `head`,
        the text with which all prompts begin. Raises `ContextLengthError` for a prompt that does not fit.
        """

    def states_at(
        self, prompts: Sequence[str], characters: Sequence[Sequence[int]], *, layers: Sequence[int]
    ) -> list[States]:
        """Read each prompt's states of `layers` at the last tokens of some of its characters, which are ascending.

        A prompt's array is (characters, layers, width); one without characters is not read. Raises
        `ContextLengthError` for a prompt that does not fit, and `ModelError` where the tokenizer does not say which
        characters a token is made of.
        """


def read_states(
    forward: TreeForward, tokenizer: Any, prompts: Sequence[str], *, head: str, context_length: int
) -> States:
    """Read the states of each prompt, (N, layers, 2, width); the tokens that all begin with are computed once."""
    rows = prompts_to_continue(tokenizer, prompts, max_tokens=1, context_length=context_length)
    # where the head's end merges with what follows, the merged token counts as behind it, in each prompt for itself
    [begin] = encode(tokenizer, [head])
    starts = [min(shared_length([tuple(begin), ids]), len(ids) - 1) for ids in rows]
    shared = min(starts, default=0)

    def compute(prefix: Prefix, batch: Sequence[int]) -> Sequence[States]:
        return forward.states(prefix, [rows[at][shared:] for at in batch], [starts[at] - shared for at in batch])

    found = _in_batches(forward, rows, shared, compute)
    return np.stack(found) if rows else np.zeros((0, 0, 2, 0), np.float16)


def read_states_at(
    forward: TreeForward,
    tokenizer: Any,
    prompts: Sequence[str],
    characters: Sequence[Sequence[int]],
    *,
    layers: Sequence[int],
    context_length: int,
) -> list[States]:
    """Read each prompt's states at some characters, as `StateReader` says."""
    asked = [at for at, each in enumerate(characters) if each]
    texts = [prompts[at] for at in asked]
    rows = prompts_to_continue(tokenizer, texts, max_tokens=1, context_length=context_length)
    places = [
        [max(0, bisect_right(starts, each) - 1) for each in characters[at]]
        for at, starts in zip(asked, _token_starts(tokenizer, texts), strict=True)
    ]
    # the first place must be computed with its prompt: of the shared tokens only keys and values are kept
    shared = min([shared_length(rows), *(each[0] for each in places)]) if rows else 0

    def compute(prefix: Prefix, batch: Sequence[int]) -> Sequence[States]:
        wanted = [[place - shared for place in places[at]] for at in batch]
        return forward.states_at(prefix, [rows[at][shared:] for at in batch], wanted, layers)

    found = dict(zip(asked, _in_batches(forward, rows, shared, compute), strict=True))
    width = next((each.shape[2] for each in found.values()), 0)
    nothing = np.zeros((0, len(layers), width), np.float16)
    return [found.get(at, nothing) for at in range(len(prompts))]


def _token_starts(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Say for each text with which character each of its tokens begins, never before an earlier token's."""
    if not texts:
        return []
    if not tokenizer.is_fast:
        raise ModelError(
            "The model's tokenizer does not tell which characters a token has; use one with tokenizer.json."
        )
    read = tokenizer(list(texts), add_special_tokens=False, verbose=False, return_offsets_mapping=True)
    return [list(accumulate((start for start, _ in each), max)) for each in read["offset_mapping"]]


def _in_batches(forward: TreeForward, rows: Sequence[Sequence[int]], shared: int, compute: Compute) -> list[States]:
    """Compute the states of prompts, whose tokens are `rows`, the longest first, as many at once as memory allows."""
    prefix = _prefix(forward, rows[0][:shared] if rows else ())
    found: dict[int, States] = {}
    waiting, budget = sorted(range(len(rows)), key=lambda each: len(rows[each])), BATCH_TOKENS
    while waiting:
        longest = len(rows[waiting[-1]])
        batch = waiting[-max(1, budget // (longest - shared)) :]
        try:
            found.update(zip(batch, compute(prefix, batch), strict=True))
        except RuntimeError as error:
            budget = fewer_at_once(error, len(batch), tokens=longest) * (longest - shared)
            continue
        waiting = waiting[: -len(batch)]
    return [found[at] for at in range(len(rows))]


def _prefix(forward: TreeForward, ids: Sequence[int]) -> Prefix:
    """Compute the tokens that all prompts begin with; raise `ModelError` where they alone exhaust the memory."""
    try:
        return forward.extended(ids)
    except RuntimeError as error:
        fewer_at_once(error, 1, tokens=len(ids))
        raise
