"""Turn texts into vectors: the mean of a model's last hidden states over a text's tokens.

Every token has the same weight, as in Reimers & Gurevych (2019), "Sentence-BERT", where the mean was the best pooling.
Not covered: models trained to embed (`llmtl.prompting.retrieval` takes them from `sentence-transformers`).
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmtl.engines.tokens import encode

Floats = NDArray[np.float64]

BATCH_TOKENS = 2048
"""Tokens of one forward pass, padding counted; one text may have more."""


@runtime_checkable
class Embedder(Protocol):
    """An engine that can turn texts into vectors."""

    def embed(self, texts: Sequence[str]) -> Floats:
        """Turn each text into one vector, (N, width)."""


def embed_texts(model: Any, tokenizer: Any, texts: Sequence[str], *, context_length: int) -> Floats:
    """Average the last hidden states of each text, (N, width); a text without tokens gets zeros.

    Tokens beyond `context_length` are left out.
    """
    from llmtl.engines.transformers.memory import fewer_at_once  # loads torch

    rows = [ids[:context_length] for ids in encode(tokenizer, texts)]
    found = np.zeros((len(rows), int(model.config.hidden_size)))
    waiting = sorted((position for position, ids in enumerate(rows) if ids), key=lambda each: len(rows[each]))
    budget = BATCH_TOKENS
    while waiting:
        longest = len(rows[waiting[-1]])
        batch = waiting[-max(1, budget // longest) :]
        try:
            found[batch] = _means(model, [rows[position] for position in batch])
        except RuntimeError as error:
            budget = fewer_at_once(error, len(batch), tokens=longest) * longest
            continue
        waiting = waiting[: -len(batch)]
    return found


def _means(model: Any, rows: Sequence[Sequence[int]]) -> Floats:
    """Average the last hidden states of B rows of token ids, (B, width)."""
    import torch

    # Ids and mask are (B, L). Padding stands behind the text, where causal attention never looks at it from the text.
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.double()
        # (B, L, width) states; the mask takes padding out of the sum and out of the count
        total = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    means: Floats = total.cpu().numpy()
    return means
