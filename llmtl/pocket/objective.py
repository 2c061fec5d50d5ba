"""Compute the pre-training loss: which tokens enter it, what they may attend to. Not covered: the optimizers."""

from typing import TYPE_CHECKING

from llmtl.pocket.corpus import Batch
from llmtl.pocket.documents import ALWAYS, SOMETIMES

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def attention_mask(documents: "torch.Tensor", window: int | None) -> "torch.Tensor":
    """Make the additive mask (rows, 1, T, T): causal, within one document, within `window` if given."""
    import torch

    length = documents.shape[1]
    place = torch.arange(length, device=documents.device)
    distance = place[:, None] - place[None, :]
    allowed = (distance >= 0) if window is None else (distance >= 0) & (distance < window)
    # (T, T) & (rows, T, T): packed documents do not see each other
    allowed = allowed & (documents[:, :, None] == documents[:, None, :])
    mask = torch.zeros(allowed.shape, dtype=torch.bfloat16, device=documents.device)
    return mask.masked_fill_(~allowed, float("-inf"))[:, None]


def choose_targets(batch: Batch, n: int, seed: str) -> "tuple[torch.Tensor, torch.Tensor]":
    """Choose flat positions that enter the loss and their target ids, `n` of each; a spare place has target -100."""
    import numpy as np
    import torch

    rng = np.random.default_rng(list(seed.encode()))
    # Place t predicts token t + 1: all arrays are (rows, T), and no document predicts the first token of the next.
    same = batch.documents[:, 1:] == batch.documents[:, :-1]
    weights = np.where(same & (batch.documents[:, 1:] >= 0), batch.weights[:, 1:], 0).reshape(-1)
    targets = batch.ids[:, 1:].reshape(-1).astype(np.int64)
    first = rng.permutation(np.flatnonzero(weights == ALWAYS))[:n]
    rest = rng.permutation(np.flatnonzero(weights == SOMETIMES))[: n - len(first)]
    chosen = np.sort(np.concatenate([first, rest]))
    positions = np.zeros(n, dtype=np.int64)
    wanted = np.full(n, -100, dtype=np.int64)
    positions[: len(chosen)] = chosen
    wanted[: len(chosen)] = targets[chosen]
    return torch.from_numpy(positions), torch.from_numpy(wanted)


def loss_of(
    model: "PreTrainedModel",
    ids: "torch.Tensor",
    mask: "torch.Tensor",
    positions: "torch.Tensor",
    targets: "torch.Tensor",
) -> "torch.Tensor":
    """Compute the mean cross-entropy at `positions`; the head runs only on these."""
    import torch

    with torch.autocast(ids.device.type, torch.bfloat16):
        hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        # (rows, T, width) -> (n, width) before the head, so that logits are (n, vocabulary) and not 3 times as many
        logits = model.lm_head(hidden.flatten(0, 1).index_select(0, positions))
    return torch.nn.functional.cross_entropy(logits.float(), targets, ignore_index=-100)
