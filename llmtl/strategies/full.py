"""The `full` strategy: fine-tune all weights of the run's model, and serve the model that comes out.

The learning rate is a tenth of an adapter's, and the memory several times as much (`llmtl.tuning.needed_memory`): where
that is not free, the strategy is refused before anything is measured. Not covered: adapters (`llmtl.strategies.lora`),
several devices.
"""

from typing import TYPE_CHECKING, ClassVar, TypeVar

from llmtl.engines.protocol import ModelSource
from llmtl.strategies.model_tuning import MODEL_FOLDER, LanguageModelTuning, tuning_facts
from llmtl.tuning.config import WholeTrainingConfig
from llmtl.tuning.learning_rate import USUAL_FOR_OWN_WEIGHTS, own_rate_for_hidden_size

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.tuning.trained_weights import TrainedWeights
    from llmtl.tuning.training import TrainingJob

OwnChoices = TypeVar("OwnChoices", bound=WholeTrainingConfig)


class OwnWeightsTuning(LanguageModelTuning[OwnChoices]):
    """What tuning the model's own weights takes, whether or not the first layers are frozen."""

    keeps = MODEL_FOLDER
    instead = "take lora or qlora, or a smaller model"
    usual_rates: ClassVar[tuple[float, float]] = USUAL_FOR_OWN_WEIGHTS

    @property
    def frozen(self) -> float:
        """Give the share of the layers that stay as they are, the first ones."""
        return 0.0

    def weights(self, model: ModelSource, device: str) -> "TrainedWeights":
        """Train the weights that are not frozen, and keep all of them in the numbers that the engine runs in."""
        from llmtl.tuning.trained_weights import OwnWeights

        return OwnWeights(model.precision(device), self.frozen)

    def usual_rate(self, info: "CheckpointInfo") -> float:
        """Take the rate that goes with the model's width."""
        return own_rate_for_hidden_size(info.hidden_size)

    def begin(self, job: "TrainingJob") -> None:
        """Put the tokenizer beside the weights, so that the folder is a checkpoint."""
        from llmtl.engines.checkpoint import copy_tokenizer

        copy_tokenizer(job.checkpoint, job.folder)


class FullChoices(WholeTrainingConfig):
    """The choices of the `full` strategy."""


class Full(OwnWeightsTuning[FullChoices]):
    """The model lies in the context's folder."""

    section = FullChoices
    facts = tuning_facts(
        name="full",
        title="Fine-tuning all weights",
        advice="Fine-tune all weights of {model}",
        made_with="transformers",
        is_made_by="the base model with all its weights fine-tuned",
        summary="Fine-tuning all weights of a language model.",
    )
