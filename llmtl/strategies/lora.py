"""The `lora` strategy: fine-tune an adapter on the run's model in its own precision, and serve the model with it.

Hu et al. 2021, "LoRA", arXiv:2106.09685. The frozen weights are in bfloat16 on a GPU and in float32 on a CPU, as they
are served, so that training sees what is measured; they take four times (float32: eight times) the memory of `qlora`.
Not covered: four bits (`llmtl.strategies.qlora`), adapters other than LoRA, merging (`llmtl.serving`).
"""

from typing import TYPE_CHECKING, TypeVar

from llmtl.engines.protocol import ModelSource
from llmtl.strategies.model_tuning import LanguageModelTuning, tuning_facts
from llmtl.tuning.config import AdapterTrainingConfig
from llmtl.tuning.learning_rate import rate_for_hidden_size

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.trained_weights import TrainedWeights


AdapterChoices = TypeVar("AdapterChoices", bound=AdapterTrainingConfig)


class AdapterTuning(LanguageModelTuning[AdapterChoices]):
    """What tuning an adapter takes, whatever the precision of the weights that it is put on."""

    def weights(self, model: ModelSource, device: str) -> "TrainedWeights":
        """Train an adapter on the model's weights, in four bits where the section says so."""
        from llmtl.tuning.trained_weights import Adapter

        del model, device
        return Adapter(self.config, four_bits=self.config.quantised)

    def usual_rate(self, info: "CheckpointInfo") -> float:
        """Take the rate that goes with the model's width."""
        return rate_for_hidden_size(info.hidden_size)


class LoraChoices(AdapterTrainingConfig):
    """The choices of the `lora` strategy."""


class Lora(AdapterTuning[LoraChoices]):
    """The adapter lies in the context's folder."""

    section = LoraChoices
    instead = "take qlora, or a smaller model"
    facts = tuning_facts(
        name="lora",
        title="Fine-tuning with LoRA",
        advice="Fine-tune {model} (LoRA)",
        made_with="peft",
        is_made_by="a LoRA adapter on the base model",
        summary="Fine-tuning a language model with adapters, in its own precision.",
    )
