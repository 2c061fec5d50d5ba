"""The `qlora` strategy: fine-tune an adapter on the run's model in four bits, and serve the model with it.

Training sees the base model in four bits, and chooses its checkpoint by the dev loss there; the predictor puts the
adapter on the base model as the engine holds it, and dev and test scores are measured on that. Rounding matters most
for tiny models: for one of 3M parameters and 128 messages, the two agreed on 106 and 111 labels after two trainings, of
which the predictor had 4 and 3 more right.

Not covered: the weights' own precision (`llmtl.strategies.lora`), adapters other than LoRA, merging (`llmtl.serving`).
"""

from typing import ClassVar

from llmtl.strategies.lora import AdapterTuning
from llmtl.strategies.model_tuning import tuning_facts
from llmtl.tuning.config import AdapterTrainingConfig


class QloraConfig(AdapterTrainingConfig):
    """The choices of the `qlora` strategy."""

    quantised: ClassVar[bool] = True


class Qlora(AdapterTuning[QloraConfig]):
    """The adapter lies in the context's folder."""

    section = QloraConfig
    instead = "take a smaller model"
    facts = tuning_facts(
        name="qlora",
        title="Fine-tuning with QLoRA",
        advice="Fine-tune {model} (QLoRA)",
        default=True,
        on_cpu="lora",
        made_with="peft",
        is_made_by="a LoRA adapter on the base model",
        summary="Fine-tuning a 4-bit language model with adapters.",
    )
