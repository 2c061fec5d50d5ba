"""How well a model predicts given texts: the negative log-likelihood of each, token by token.

Not covered: answers to prompts (`llmtl.engines.transformers.engine`), which are scored among labels only.
"""

from collections.abc import Sequence
from typing import Any

import torch

from llmtl.engines.protocol import TextLoss
from llmtl.engines.tokens import encode_plain
from llmtl.engines.transformers.memory import fewer_at_once
from llmtl.progress import Advance, unwatched

BATCH_TOKENS = 512
"""Tokens of one forward pass, padding counted; one text may have more. Each takes a row of logits as long as the
vocabulary: 100 MB of them for 49,152 words."""


def read_losses(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    *,
    context_length: int,
    advance: Advance = unwatched,
) -> list[TextLoss]:
    """Read the loss of each text, in order; what is beyond `context_length` tokens is left out.

    Raises `ModelError` where one text alone exhausts the memory.
    """
    rows = [ids[:context_length] for ids in encode_plain(tokenizer, texts)]
    found = [TextLoss(0.0, 0)] * len(rows)
    waiting = sorted((at for at, ids in enumerate(rows) if len(ids) > 1), key=lambda each: len(rows[each]))
    budget = BATCH_TOKENS
    while waiting:
        longest = len(rows[waiting[-1]])
        batch = waiting[-max(1, budget // longest) :]
        try:
            nats = _nats(model, [rows[at] for at in batch])
        except RuntimeError as error:
            budget = fewer_at_once(error, len(batch), tokens=longest) * longest
            continue
        for at, each in zip(batch, nats, strict=True):
            found[at] = TextLoss(each, len(rows[at]) - 1)
        waiting = waiting[: -len(batch)]
        advance(len(batch))
    return found


def _nats(model: Any, rows: Sequence[Sequence[int]]) -> list[float]:
    """Sum the negative log-likelihoods of each of B rows of token ids, the first token of each left out."""
    # Ids and mask are (B, L). Padding stands behind the text, where causal attention never looks at it from the text.
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        # the logits (B, L - 1, vocabulary) at each token predict the next one
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), ids[:, 1:].flatten(), reduction="none"
        )
        each = losses.view(len(rows), longest - 1).double() * mask[:, 1:]
    nats: list[float] = each.sum(dim=1).tolist()
    return nats
