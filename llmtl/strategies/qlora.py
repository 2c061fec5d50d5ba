"""The `qlora` strategy: fine-tune an adapter on the run's model in four bits, and serve the model with it.

Training sees the base model in four bits, and chooses its checkpoint by the dev loss there; the predictor puts the
adapter on the base model as the engine holds it, and dev and test scores are measured on that. Rounding matters most
for tiny models: for one of 3M parameters and 128 messages, the two agreed on 106 and 111 labels after two trainings, of
which the predictor had 4 and 3 more right.

Not covered: the weights' own precision (`llmtl.strategies.lora`), adapters other than LoRA, merging (`llmtl.serving`).
"""

from typing import TYPE_CHECKING, ClassVar

from llmtl.engines.protocol import ModelSource
from llmtl.strategies.model_tuning import LanguageModelTuning
from llmtl.strategy import Facts, PromptServed, Role, Runs
from llmtl.task import Draw
from llmtl.tuning.config import AdapterTrainingConfig

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.trained_weights import TrainedWeights


class QloraConfig(AdapterTrainingConfig):
    """The choices of the `qlora` strategy."""

    quantised: ClassVar[bool] = True


class Qlora(LanguageModelTuning[QloraConfig]):
    """The adapter lies in the context's folder."""

    section = QloraConfig
    facts = Facts(
        name="qlora",
        title="Fine-tuning with QLoRA",
        advice="Fine-tune {model} (QLoRA)",
        role=Role.TUNING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        fit_weight=35,
        prompts=1,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        has_curve=True,
        made_with="peft",
        is_made_by="a LoRA adapter on the base model",
        summary="Fine-tuning a 4-bit language model with adapters.",
    )

    def weights(self, model: ModelSource, device: str) -> "TrainedWeights":
        """Train an adapter on the model in NF4."""
        from llmtl.tuning.trained_weights import Adapter

        del model, device
        return Adapter(self.config, four_bits=True)

    def usual_rate(self, info: "CheckpointInfo") -> float:
        """Take the rate that goes with the model's width."""
        from llmtl.tuning.learning_rate import rate_for_hidden_size

        return rate_for_hidden_size(info.hidden_size)
