"""Read the mean state of each text in every layer of a model of transformers, encoder or language model.

All tokens of a text weigh the same, as in Reimers & Gurevych (2019), "Sentence-BERT". A long text is cut: its beginning
stands for it. Not covered: prompts around a text (`llmtl.engines.transformers.states`), texts read in windows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtl.progress import Advance, unwatched

Floats = NDArray[np.float32]

MOST_TOKENS = 128
"""Tokens of a text that are read by default, at most."""
BATCH_TOKENS = 4096
"""Tokens of one forward pass, padding counted."""


def mean_states(
    model: Any, tokenizer: Any, texts: Sequence[str], *, most_tokens: int = MOST_TOKENS, advance: Advance = unwatched
) -> Floats:
    """Average each text's states, (N, layers + 1, width); the embeddings come first, as transformers gives them.

    `model` is the body, without a head, which reads `most_tokens` of a text. A text without a token gets zeros.
    """
    import torch

    rows = [list(ids) for ids in _ids(tokenizer, texts, most_tokens)]
    found: Floats | None = None
    for batch in _batches([len(row) for row in rows]):
        longest = max(len(rows[at]) for at in batch)
        # padding stands behind a text, where causal attention never looks at it; the mask keeps encoders from it
        ids = torch.tensor([rows[at] + [0] * (longest - len(rows[at])) for at in batch], device=model.device)
        mask = torch.tensor([[1] * len(rows[at]) + [0] * (longest - len(rows[at])) for at in batch], device=ids.device)
        with torch.inference_mode():
            states = model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
            # (B, L, width) each; the mask takes padding out of the sum and out of the count
            means = [(each.float() * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True) for each in states]
        stacked = torch.stack(means, dim=1).cpu().numpy()
        if found is None:
            found = np.zeros((len(texts), *stacked.shape[1:]), np.float32)
        found[batch] = stacked
        advance(len(batch))
    return np.zeros((len(texts), 0, 0), np.float32) if found is None else found


def _ids(tokenizer: Any, texts: Sequence[str], most: int) -> Sequence[Sequence[int]]:
    """Cut texts into at most so many tokens, special ones included."""
    if not texts:
        return []
    read = tokenizer(list(texts), truncation=True, max_length=most, padding=False, verbose=False)
    ids: Sequence[Sequence[int]] = read["input_ids"]
    return ids


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Group texts of similar length, the longest first; those without a token are left out."""
    waiting = sorted((at for at, length in enumerate(lengths) if length), key=lambda at: -lengths[at])
    while waiting:
        size = max(1, BATCH_TOKENS // lengths[waiting[0]])
        yield waiting[:size]
        waiting = waiting[size:]
