"""The `from-scratch` strategy: the architecture of `encoder` with random weights and an equal budget.

It is the control that shows what pre-training is worth: same tokenizer, head, epochs, batches and time limit, which it
reads in the section of `encoder`. Only the learning rate is its own, since what starts at random has further to go. Not
covered: pre-training on the task's own texts.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from llmtl.kinds.kind import AnswerShape
from llmtl.strategies.encoder import EncoderTuning, EncoderTuningConfig
from llmtl.strategy import Facts, FitContext, LocalServed, Role, Runs
from llmtl.task import Draw


class FromScratchConfig(BaseModel):
    """The choices of the `from-scratch` strategy; all others are those of `encoder`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1e-4,),
        min_length=1,
        description="Peak learning rates to try on dev, each for its share of the time; 1e-4 is that of BERT's "
        "pre-training (Devlin et al. 2019, appendix A.2).",
    )


class FromScratch(EncoderTuning[FromScratchConfig]):
    """Equal dev scores go to the lower dev loss."""

    section = FromScratchConfig
    facts = Facts(
        name="from-scratch",
        title="Encoder without pre-training",
        advice="Train {model} from random weights",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS, AnswerShape.SPANS}),
        runs=Runs.ENCODER,
        default=False,
        fit_weight=15,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        control_of="encoder",
        reads=("encoder",),
        made_with="transformers",
        is_made_by="an encoder that was trained from random weights",
        summary="The same encoder trained from random weights: shows what pre-training is worth.",
    )
    pretrained = False

    def choices(self, context: FitContext) -> EncoderTuningConfig:
        """Take those of `encoder`."""
        given = context.others.get("encoder")
        return given if isinstance(given, EncoderTuningConfig) else EncoderTuningConfig()

    def rates(self, hidden_size: int) -> tuple[tuple[float, ...], str]:
        """Take the learning rates of the recipe."""
        del hidden_size
        return self.config.learning_rate, "recipe"
