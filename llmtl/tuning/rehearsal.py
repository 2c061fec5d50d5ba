"""Some general English among the training examples, so that a model forgets less of it.

Only passages that forgetting is not measured on. Not covered: the penalty on what general text needs, measuring
(`llmtl.pipeline.forgetting_steps`).
"""

from random import Random
from typing import Any

from llmtl.engines.tokens import encode_plain
from llmtl.general.samples import HELD_BACK, rehearsed
from llmtl.tuning.tokenized import IGNORED, TokenizedExample


def rehearsal(
    examples: int, share: float, tokenizer: Any, *, max_length: int, seed: int, choosing: bool = False
) -> tuple[TokenizedExample, ...]:
    """Draw passages that are `share` of all that is trained on beside so many examples; at least one, 0 for none.

    Where some are kept for `choosing` a remedy's strength, those are not among them. The loss is on every token but the
    first. A passage comes again only when all have come; longer ones than `max_length` tokens are left out.
    """
    if share == 0:
        return ()
    rows = [
        ids
        for ids in encode_plain(tokenizer, rehearsed()[: -HELD_BACK if choosing else None])
        if 1 < len(ids) <= max_length
    ]
    Random(seed).shuffle(rows)
    wanted = max(1, round(examples * share / (1 - share))) if rows else 0
    return tuple(plain(rows[at % len(rows)]) for at in range(wanted))


def plain(ids: list[int]) -> TokenizedExample:
    """Make an example of a text that follows no prompt."""
    return TokenizedExample(tuple(ids), (IGNORED, *ids[1:]))
