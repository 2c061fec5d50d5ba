"""Elastic weight consolidation: after every step, what general text needs is drawn back to where it was.

Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", arXiv:1612.00796, equation 3: the loss
gains strength / 2 times the sum of F (w - w0)^2 over the weights w, which began at w0. F is the diagonal of the Fisher
information of the cross-entropy per token on some passages that forgetting is not measured on, so that the penalty is
about strength times the rise of that cross-entropy in nats, as far as its curvature goes.

**Adapters.** The penalty is on what the adapter does to the frozen weight, s (B A - B0 A0), by that weight's Fisher
information (Zheng et al. 2026, "Revisiting Weight Regularization for Low-Rank Continual Learning", arXiv:2602.17559). A
and B each on its own would not do, as B starts at 0, where the output does not depend on A, whose F is 0. F of a weight
between input j and output i is taken as E[g_i^2] E[x_j^2], the diagonal of K-FAC (Martens & Grosse 2015,
arXiv:1503.05671), with g the gradient at the layer's output and x its input: it needs a number per input and per output
and none per weight, also where weights are held in four bits.

**Steps.** Adam moves each weight by about the learning rate, however steep the loss: a penalty inside the loss holds
nothing nearer than that, and at a rate that destroys, general English stays destroyed. So the penalty is not in the
loss. After each step the weights go to the minimum of penalty plus distance, measured as Adam scales it (proximal Adam:
Melchior et al. 2019, arXiv:1910.10094; Yun et al. 2021, "Adaptive Proximal Gradient Methods for Structured Neural
Networks"). That is a formula here, is stable for every strength, and has the same fixed points. Of an adapter, B is
moved while A stays. Clipped gradients make the penalty count more. Not covered: how weights act together, which no
diagonal knows; choosing the strength (`llmtl.tuning.strength_search`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from peft.tuners.lora import LoraLayer

from llmtl.engines.tokens import encode_plain
from llmtl.general.samples import rehearsed
from llmtl.tuning.group_rates import GroupRatesTrainer

PASSAGES = 32
"""Passages that the Fisher information is estimated on: each takes a pass forward and back."""
_AT_ONCE = 2**24
"""Numbers in the matrices that are solved at once: those of a large rank are taken a few rows at a time."""

Pace = Callable[[torch.nn.Parameter], torch.Tensor | None]
"""How far an optimizer moves each entry of a weight per unit of its gradient; None where it has not moved it yet."""


class Held(Protocol):
    """A part of a model that is drawn back."""

    def pull(self, pace: Pace, strength: float) -> None:
        """Go to the minimum of the penalty and the distance from here."""


@dataclass(frozen=True)
class HeldWeight:
    """A weight that is trained itself: where it began, and its Fisher information."""

    weight: torch.nn.Parameter
    start: torch.Tensor
    fisher: torch.Tensor

    def pull(self, pace: Pace, strength: float) -> None:
        """Draw every entry back by its own share."""
        moved = pace(self.weight)
        if moved is not None:
            self.weight.copy_(self.start + (self.weight - self.start) / (1 + strength * moved * self.fisher))


@dataclass(frozen=True)
class HeldProduct:
    """An adapter's A (rank, in) and B (out, rank) on a frozen weight, where they began, and its Fisher information.

    That is `outputs`, E[g^2] per output, times `inputs`, E[x^2] per input; `scale` multiplies B A.
    """

    first: torch.nn.Parameter
    second: torch.nn.Parameter
    starts: tuple[torch.Tensor, torch.Tensor]
    outputs: torch.Tensor
    inputs: torch.Tensor
    scale: float

    def pull(self, pace: Pace, strength: float) -> None:
        """Draw each row of B back, all of its entries together.

        With e the paces of a row b, k = strength scale^2 outputs_i and C the diagonal of the inputs, the minimum of
        k/2 (b A - b0 A0) C (b A - b0 A0)' + 1/2 sum (b - now)^2 / e is now - D (1 + k D M D)^-1 k D v, where
        D = sqrt(e), M = A C A' and v = (now A - b0 A0) C A'.
        """
        moved = pace(self.second)
        if moved is None:
            return
        first, now = self.first.double(), self.second.double()
        weighed = first * self.inputs.double()
        held, away = weighed @ first.T, (now @ first - self.starts[1].double() @ self.starts[0].double()) @ weighed.T
        root, stiff = moved.double().sqrt(), strength * self.scale**2 * self.outputs.double()
        rank = len(first)
        for start in range(0, len(now), rows := max(1, _AT_ONCE // rank**2)):
            part = slice(start, start + rows)
            # (rows, rank, rank): symmetric, and no eigenvalue is below 1
            own, k = root[part], stiff[part, None]
            matrix = torch.eye(rank, dtype=now.dtype, device=now.device)
            matrix = matrix + k[:, :, None] * own[:, :, None] * held * own[:, None, :]
            now[part] -= own * torch.linalg.solve(matrix, k * own * away[part])
        self.second.copy_(now)


@dataclass(frozen=True)
class Consolidation:
    """What is drawn back after every step, and how strongly."""

    held: tuple[Held, ...]
    strength: float

    @classmethod
    def of(cls, model: Any, tokenizer: Any, *, strength: float) -> "Consolidation":
        """Estimate on general text what the model as it is now needs, of the weights that are trained."""
        rows = [row for row in encode_plain(tokenizer, rehearsed()[:PASSAGES]) if len(row) > 1]
        layers = [each for each in model.modules() if isinstance(each, LoraLayer)]
        return cls(tuple(_products(model, layers, rows) if layers else _weights(model, rows)), strength)

    def pull(self, optimizer: torch.optim.Optimizer) -> None:
        """Draw all back, behind a step of AdamW."""
        groups = {id(each): group for group in optimizer.param_groups for each in group["params"]}

        def pace(weight: torch.nn.Parameter) -> torch.Tensor | None:
            state = optimizer.state.get(weight)
            if not state:
                return None
            group = groups[id(weight)]
            mean: torch.Tensor = state["exp_avg_sq"] / (1 - group["betas"][1] ** state["step"])
            moved: torch.Tensor = group["lr"] / (mean.sqrt() + group["eps"])
            return moved

        with torch.no_grad():
            for each in self.held:
                each.pull(pace, self.strength)


def _weights(model: Any, rows: Sequence[Sequence[int]]) -> list[HeldWeight]:
    trained = [each for each in model.parameters() if each.requires_grad]
    return [HeldWeight(w, w.detach().clone(), f) for w, f in zip(trained, fisher(model, trained, rows), strict=True)]


def fisher(model: Any, trained: Sequence[torch.nn.Parameter], rows: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """Estimate the diagonal Fisher information, per token: of each row the squared gradient of its whole loss."""
    sums = [torch.zeros_like(each) for each in trained]
    for nats in _losses(model, rows):
        for total, gradient in zip(sums, torch.autograd.grad(nats, trained), strict=True):
            total.add_(gradient.detach() ** 2)
    return [total / _predicted(rows) for total in sums]


def _products(model: Any, layers: Sequence[Any], rows: Sequence[Sequence[int]]) -> list[HeldProduct]:
    found = []
    for layer, (outputs, inputs) in zip(layers, factors(model, layers, rows), strict=True):
        first, second = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        starts = (first.detach().clone(), second.detach().clone())
        found.append(HeldProduct(first, second, starts, outputs, inputs, float(layer.scaling["default"])))
    return found


def factors(
    model: Any, layers: Sequence[Any], rows: Sequence[Sequence[int]]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Estimate E[g^2] per output and E[x^2] per input of the frozen weights under adapters, per predicted token."""
    read: dict[int, tuple[Any, Any]] = {}

    def watch(at: int) -> Callable[[Any, tuple[Any, ...], Any], None]:
        def note(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
            # of the first layer nothing that it reads is trained
            read[at] = (inputs[0].detach(), output if output.requires_grad else output.requires_grad_())

        return note

    hooks = [each.get_base_layer().register_forward_hook(watch(at)) for at, each in enumerate(layers)]
    sums: list[list[Any]] = [[0.0, 0.0] for _ in layers]
    try:
        for nats in _losses(model, rows):
            gradients = torch.autograd.grad(nats, [read[at][1] for at in range(len(layers))])
            for at, gradient in enumerate(gradients):
                # (1, L, out) and (1, L, in); behind the last token nothing is predicted
                for side, each in enumerate((gradient, read[at][0])):
                    sums[at][side] += each[0, :-1].float().square().sum(dim=0)
    finally:
        for hook in hooks:
            hook.remove()
    return [(outputs / _predicted(rows), inputs / _predicted(rows)) for outputs, inputs in sums]


def _losses(model: Any, rows: Sequence[Sequence[int]]) -> Iterator[torch.Tensor]:
    """Compute the loss of each row of token ids, in nats, without dropout."""
    with _as_served(model):
        for row in rows:
            ids = torch.tensor([row], device=model.device)
            yield model(input_ids=ids, labels=ids, use_cache=False).loss * (len(row) - 1)


def _predicted(rows: Sequence[Sequence[int]]) -> int:
    return sum(len(row) - 1 for row in rows)


@contextmanager
def _as_served(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


class ConsolidatingTrainer(GroupRatesTrainer):
    """A trainer whose weights are drawn back after every step where `consolidation` is given."""

    consolidation: Consolidation | None = None

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make the optimizer, and let it draw back."""
        made = super().create_optimizer(model)
        if self.consolidation is not None:
            held = self.consolidation
            made.register_step_post_hook(lambda optimizer, *_: held.pull(optimizer))
        return made
