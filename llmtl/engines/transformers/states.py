"""Read the hidden states of prompts: of every layer, at the last token and as a mean from a place on.

The prompts make a pass of their own, without the trees of answers that scoring lays behind them: states of train are
needed, which is never scored, and keeping those of every scored prompt would cost memory that most runs need not
spend. Not covered: models trained to embed; engines that give the last layer only.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmtl.engines.tokens import encode, prompts_to_continue, shared_length
from llmtl.engines.transformers.attention import Prefix, TreeForward
from llmtl.engines.transformers.memory import fewer_at_once

States = NDArray[np.float16]

BATCH_TOKENS = 2048
"""Tokens of one forward pass, without the shared ones; one prompt may have more."""


@runtime_checkable
class StateReader(Protocol):
    """An engine that gives the hidden states of all layers."""

    def states(self, prompts: Sequence[str], *, head: str = "") -> States:
        """Read the states of each prompt, (N, layers, 2, width), the embeddings as the first layer.

        Of the two positions the first is the prompt's last token, the second the mean over the tokens behind `head`,
        the text with which all prompts begin. Raises `ContextLengthError` for a prompt that does not fit.
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
    prefix = _prefix(forward, rows[0][:shared] if rows else ())
    found: dict[int, States] = {}
    waiting, budget = sorted(range(len(rows)), key=lambda each: len(rows[each])), BATCH_TOKENS
    while waiting:
        longest = len(rows[waiting[-1]])
        batch = waiting[-max(1, budget // (longest - shared)) :]
        suffixes, begun = [rows[at][shared:] for at in batch], [starts[at] - shared for at in batch]
        try:
            found.update(zip(batch, forward.states(prefix, suffixes, begun), strict=True))
        except RuntimeError as error:
            budget = fewer_at_once(error, len(batch), tokens=longest) * (longest - shared)
            continue
        waiting = waiting[: -len(batch)]
    return np.stack([found[at] for at in range(len(rows))]) if rows else np.zeros((0, 0, 2, 0), np.float16)


def _prefix(forward: TreeForward, ids: Sequence[int]) -> Prefix:
    """Compute the tokens that all prompts begin with; raise `ModelError` where they alone exhaust the memory."""
    try:
        return forward.extended(ids)
    except RuntimeError as error:
        fewer_at_once(error, 1, tokens=len(ids))
        raise
