"""What a recipe may choose about every prompting strategy.

Not covered: the choices of one of them (beside it), the first instruction (the recipe's `task`).
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Shots = Annotated[int, Field(ge=1)]
Instruction = Annotated[str, Field(min_length=1)]

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
SEEDS = (
    "Draws of demonstrations to try for each number: which ones and in which order matters (Lu et al. 2022, "
    "'Fantastically Ordered Prompts')."
)
"""What `seeds` means in the sections of strategies that draw demonstrations."""


class CalibrationChoice(StrEnum):
    """Which calibrations of label probabilities to try."""

    OFF = "off"
    BATCH = "batch"
    AFFINE = "affine"
    AUTO = "auto"  # both


class PromptConfig(BaseModel):
    """The choices that all prompting strategies have."""

    model_config = _STRICT

    instructions: tuple[Instruction, ...] = Field(
        default=(), description="More wordings of the instruction to try, beside the task's own."
    )
    built_in_instructions: bool = Field(
        default=True, description="Whether to try three general wordings of the instruction too."
    )
    dev_examples: int = Field(
        default=200,
        ge=1,
        description="Candidates are compared on at most so many dev examples, stratified by label; the evaluation on "
        "dev that follows uses all of them.",
    )
    calibration: CalibrationChoice = Field(
        default=CalibrationChoice.OFF,
        description="Calibration of label probabilities (classification), kept only where cross-validation on examples "
        "outside the prompt shows a better likelihood and no lower score: batch (Zhou et al. 2024), affine (Guo et al. "
        "2017; from 100 examples), auto for the better of both. Served by `llmtl serve`, not by stock vLLM.",
    )
