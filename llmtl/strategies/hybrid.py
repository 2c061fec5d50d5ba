"""The `hybrid` strategy: freeze the first layers of the run's model, fine-tune the others and the output head.

Yosinski et al. 2014, "How transferable are features in deep neural networks?", arXiv:1411.1792: what the first layers
learned serves many tasks, what the last ones learned does not. Frozen weights need no gradients and no moments. Not
covered: choosing the share by dev, freezing by time (gradual unfreezing).
"""

from pydantic import Field

from llmtl.strategies.full import OwnWeightsTuning
from llmtl.strategies.model_tuning import tuning_facts
from llmtl.tuning.config import WholeTrainingConfig


class HybridChoices(WholeTrainingConfig):
    """The choices of the `hybrid` strategy."""

    frozen: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="Share of the layers that stay as they are, the first ones, with the input embeddings; rounded "
        "down, and the last layer is always trained.",
    )


class Hybrid(OwnWeightsTuning[HybridChoices]):
    """The model lies in the context's folder."""

    section = HybridChoices
    facts = tuning_facts(
        name="hybrid",
        title="Fine-tuning the last layers",
        advice="Fine-tune the last layers of {model}",
        made_with="transformers",
        is_made_by="the base model with its last layers fine-tuned",
        summary="Fine-tuning the last layers of a language model and its output head.",
    )

    @property
    def frozen(self) -> float:
        """Give the share of the layers that stay as they are."""
        return self.config.frozen
