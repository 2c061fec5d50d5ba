"""Elastic weight consolidation of an adapter: what general text needs stays near where it was.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", arXiv:1612.00796, equation 3: the loss
gains strength / 2 times the sum of F (w - w0)^2 over the trained weights w, which began at w0. F is the diagonal of the
Fisher information, here of the cross-entropy per token on some passages that forgetting is not measured on: of each
passage the squared gradient of its whole loss, averaged, by the mean number of tokens. So the penalty is about strength
times the rise of that cross-entropy in nats, as far as its curvature goes.

LoRA's second matrix (B) begins at 0, and the model's output does not depend on the first (A) there: F of A is 0, and
what is held back are the directions of B that general text notices. Not covered: the model's own weights, of which F
and w0 would be two more copies; how weights act together, which no diagonal knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llmtl.engines.tokens import encode_plain
from llmtl.general.samples import rehearsed
from llmtl.tuning.group_rates import GroupRatesTrainer

PASSAGES = 32
"""Passages that the Fisher information is estimated on: each takes a pass forward and back."""


@dataclass(frozen=True)
class Consolidation:
    """The penalty: each trained weight with where it began and its Fisher information."""

    weights: tuple[tuple[torch.nn.Parameter, torch.Tensor, torch.Tensor], ...]
    strength: float

    @classmethod
    def of(cls, model: Any, tokenizer: Any, *, strength: float) -> "Consolidation":
        """Estimate on general text what the weights of `model` that are trained are worth to it, as they are now."""
        trained = [each for each in model.parameters() if each.requires_grad]
        found = fisher(model, trained, encode_plain(tokenizer, rehearsed()[:PASSAGES]))
        return cls(tuple((w, w.detach().clone(), f) for w, f in zip(trained, found, strict=True)), strength)

    def penalty(self) -> torch.Tensor:
        """Compute the penalty at the weights as they are."""
        return self.strength / 2 * torch.stack([(f * (w - w0) ** 2).sum() for w, w0, f in self.weights]).sum()


def fisher(model: Any, trained: Sequence[torch.nn.Parameter], rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Estimate the diagonal Fisher information, per token, of the loss on rows of token ids; the mode stays."""
    was_training = model.training
    model.eval()
    sums = [torch.zeros_like(each) for each in trained]
    rows = [row for row in rows if len(row) > 1]
    for row in rows:
        ids = torch.tensor([row], device=trained[0].device)
        nats = model(input_ids=ids, labels=ids, use_cache=False).loss * (len(row) - 1)
        for total, gradient in zip(sums, torch.autograd.grad(nats, trained), strict=True):
            total.add_(gradient.detach() ** 2)
    model.train(was_training)
    tokens = sum(len(row) - 1 for row in rows)
    return [total / tokens for total in sums]


class ConsolidatingTrainer(GroupRatesTrainer):
    """A trainer whose loss has the penalty of `consolidation` where that is given."""

    consolidation: Consolidation | None = None

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Add the penalty to the loss of a training batch; of a step in parts, each part has its share."""
        found = super().compute_loss(model, inputs, *args, **kwargs)
        if self.consolidation is None or not model.training:
            return found
        # transformers divides the loss by the number of parts unless the model's loss counts the items of all
        whole = self.model_accepts_loss_kwargs and kwargs.get("num_items_in_batch") is not None
        penalty = self.consolidation.penalty() / (self.current_gradient_accumulation_steps if whole else 1)
        return (found[0] + penalty, *found[1:]) if isinstance(found, tuple) else found + penalty
