"""Learning rates that differ between the trained weights: by layer (ULMFiT), and between LoRA's two matrices (LoRA+).

Formulas and sources stand at the choices themselves (`llmtl.tuning.config`). Not covered: schedules, which multiply all
of these rates alike.
"""

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from llmtl.tuning.config import AdapterTrainingConfig, TrainingConfig
from llmtl.tuning.shared_prefix import WholePromptsTrainer

_LAYER = re.compile(r"\.layers\.(\d+)\.")


@dataclass(frozen=True)
class GroupRates:
    """What the learning rate is multiplied by: `layer_decay` per layer below the last, `b_ratio` for LoRA's B."""

    layer_decay: float = 1.0
    b_ratio: float = 1.0

    @classmethod
    def of(cls, config: TrainingConfig) -> "GroupRates":
        """Take what the recipe chose."""
        return cls(config.layer_decay, config.b_rate_ratio if isinstance(config, AdapterTrainingConfig) else 1.0)

    def factor(self, name: str, *, layers: int) -> float:
        """Compute the factor of a weight by its name: input embeddings count as the layer below all, heads as none."""
        found = _LAYER.search(name)
        below = layers - 1 - int(found[1]) if found else layers if "embed_tokens" in name else 0
        return float(self.layer_decay**below * (self.b_ratio if ".lora_B." in name else 1.0))

    def groups(
        self,
        weights: Iterable[tuple[str, torch.nn.Parameter]],
        *,
        layers: int,
        rate: float,
        decayed: Container[str],
        weight_decay: float,
    ) -> list[dict[str, Any]]:
        """Group the trained weights by learning rate and by whether they decay, as torch's optimizers take them."""
        found: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
        for name, weight in weights:
            if weight.requires_grad:
                key = (rate * self.factor(name, layers=layers), weight_decay if name in decayed else 0.0)
                found.setdefault(key, []).append(weight)
        return [{"params": each, "lr": lr, "weight_decay": decay} for (lr, decay), each in found.items()]


class GroupRatesTrainer(WholePromptsTrainer):
    """A trainer whose optimizer has a learning rate per group where `rates` ask for it."""

    rates = GroupRates()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make the optimizer that the settings name, over the groups."""
        if self.optimizer is None and self.rates != GroupRates():
            whole: Any = self.model
            made, options = self.get_optimizer_cls_and_kwargs(self.args, whole)
            groups = self.rates.groups(
                whole.named_parameters(),
                layers=whole.config.num_hidden_layers,
                rate=self.args.learning_rate,
                decayed=self.get_decay_parameter_names(whole),
                weight_decay=self.args.weight_decay,
            )
            self.optimizer_cls_and_kwargs = (made, options | {"params": groups})
        return super().create_optimizer(model)
