"""Texts as vectors: the mean of a model's last hidden states over a text's tokens.

Every token counts alike, as in Reimers & Gurevych (2019), "Sentence-BERT", where the mean was the best pooling. Not
covered: models trained to embed (`llmtl.prompting.retrieval` takes them from `sentence-transformers`).
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
        """Return one vector a text, (N, width)."""


def embed_texts(model: Any, tokenizer: Any, texts: Sequence[str], *, context_length: int) -> Floats:
    """Return the mean last hidden state of each text, (N, width); of a text without tokens, zeros.

    What is beyond `context_length` tokens does not count.
    """
    rows = [ids[:context_length] for ids in encode(tokenizer, texts)]
    found = np.zeros((len(rows), int(model.config.hidden_size)))
    waiting = sorted((position for position, ids in enumerate(rows) if ids), key=lambda each: len(rows[each]))
    while waiting:
        size = max(1, BATCH_TOKENS // len(rows[waiting[-1]]))
        batch, waiting = waiting[-size:], waiting[:-size]
        found[batch] = _means(model, [rows[position] for position in batch])
    return found


def _means(model: Any, rows: Sequence[Sequence[int]]) -> Floats:
    """Return the mean hidden state of each row of token ids."""
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=model.device)
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=model.device)
    with torch.inference_mode():
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state.double()
        total = (states * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
    means: Floats = total.cpu().numpy()
    return means
