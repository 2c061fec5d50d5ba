"""The `lora` strategy: fine-tune an adapter on the run's model in its own precision, and serve the model with it.

Hu et al. 2021, "LoRA", arXiv:2106.09685. The frozen weights are in bfloat16 on a GPU and in float32 on a CPU, as they
are served, so that training sees what is measured; they take four times (float32: eight times) the memory of `qlora`.
Not covered: four bits (`llmtl.strategies.qlora`), adapters other than LoRA, merging (`llmtl.serving`).
"""

from typing import TYPE_CHECKING

from llmtl.engines.protocol import ModelSource
from llmtl.strategies.model_tuning import LanguageModelTuning
from llmtl.strategy import Facts, PromptServed, Role, Runs
from llmtl.task import Draw
from llmtl.tuning.config import AdapterTrainingConfig

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.trained_weights import TrainedWeights


class LoraChoices(AdapterTrainingConfig):
    """The choices of the `lora` strategy."""


class Lora(LanguageModelTuning[LoraChoices]):
    """The adapter lies in the context's folder."""

    section = LoraChoices
    facts = Facts(
        name="lora",
        title="Fine-tuning with LoRA",
        advice="Fine-tune {model} (LoRA)",
        role=Role.TUNING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        default=False,
        fit_weight=35,
        prompts=1,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with="peft",
        is_made_by="a LoRA adapter on the base model",
        summary="Fine-tuning a language model with adapters, in its own precision.",
    )

    def weights(self, model: ModelSource, device: str) -> "TrainedWeights":
        """Train an adapter on the model's weights as they are."""
        from llmtl.tuning.trained_weights import Adapter

        del model, device
        return Adapter(self.config, four_bits=False)

    def usual_rate(self, info: "CheckpointInfo") -> float:
        """Take the rate that goes with the model's width."""
        from llmtl.tuning.learning_rate import rate_for_hidden_size

        return rate_for_hidden_size(info.hidden_size)
