"""What a recipe may choose about prompting. Not covered: the first instruction (the recipe's `task`)."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from llmtl.engines.openai.config import EndpointConfig

Shots = Annotated[int, Field(ge=1)]
Instruction = Annotated[str, Field(min_length=1)]

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
_SEEDS = (
    "Draws of demonstrations to try for each number: which ones and in which order matters (Lu et al. 2022, "
    "'Fantastically Ordered Prompts')."
)


class Retrieval(StrEnum):
    """What similarity of an input to the training examples is."""

    TFIDF = "tfidf"
    MODEL = "model"  # mean of the model's own last hidden states
    SENTENCES = "sentence-transformers"


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


class ZeroShotConfig(PromptConfig):
    """The choices of the `zero-shot` strategy: the wordings of the instruction that are tried on dev."""


class FewShotConfig(PromptConfig):
    """The choices of the `few-shot` strategy: the candidates that are tried on dev."""

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16, 32),
        min_length=1,
        description="Numbers of demonstrations to try; those that do not fit the context are left out, and those above "
        "the number of training examples are cut to it.",
    )
    seeds: int = Field(default=3, ge=1, description=_SEEDS)


class ManyShotConfig(PromptConfig):
    """The choices of the `many-shot` strategy: as many demonstrations as fit, for every input the same."""

    context_fraction: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The part of the model's context that demonstrations and the longest input may fill (Agarwal et "
        "al. 2024, 'Many-Shot In-Context Learning').",
    )
    seeds: int = Field(default=3, ge=1, description=_SEEDS)


class KnnFewShotConfig(PromptConfig):
    """The choices of the `knn-few-shot` strategy: the candidates that are tried on dev."""

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16),
        min_length=1,
        description="Numbers of retrieved demonstrations to try; a number that fits the context for less than half of "
        "the dev inputs is left out.",
    )
    retrieval: Retrieval = Field(
        default=Retrieval.TFIDF,
        description="How similar examples are found: by tfidf, by the model's own hidden states, or by "
        "sentence-transformers (pip install 'llmtl[embeddings]').",
    )
    sentence_model: str = Field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        min_length=1,
        description="The sentence-transformers model, a Hub name or a folder.",
    )


class HostedConfig(EndpointConfig, PromptConfig):
    """The choices of the `hosted` strategy: which model, how it may be asked, the candidates that are tried on dev.

    Its prices are those of the recipe's `prices` section.
    """

    shots: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 8), min_length=1, description="Numbers of demonstrations to try; 0 is zero-shot."
    )
    seeds: int = Field(default=1, ge=1, description=_SEEDS)
    dev_examples: int = Field(default=50, ge=1, description="Candidates are compared on at most so many dev examples.")
    built_in_instructions: bool = Field(
        default=False, description="Whether to try three general wordings of the instruction too."
    )
    top_logprobs: int = Field(
        default=20, ge=0, description="Likeliest tokens to ask for, from which labels get probabilities; 0 for none."
    )
