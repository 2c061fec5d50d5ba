"""What a recipe may choose about prompting. Not covered: the instruction (the recipe's `task`)."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Shots = Annotated[int, Field(ge=1)]

_DEV_EXAMPLES = (
    "Candidates are compared on at most so many dev examples, stratified by label; the evaluation on dev that follows "
    "uses all of them."
)


class FewShotConfig(BaseModel):
    """The choices of the `few-shot` strategy: the candidates that are tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16, 32),
        min_length=1,
        description="Numbers of demonstrations to try; those that do not fit the context are left out, and those above "
        "the number of training examples are cut to it.",
    )
    seeds: int = Field(
        default=3,
        ge=1,
        description="Draws of demonstrations to try for each number: which ones and in which order matters (Lu et al. "
        "2022, 'Fantastically Ordered Prompts').",
    )
    dev_examples: int = Field(default=200, ge=1, description=_DEV_EXAMPLES)


class KnnFewShotConfig(BaseModel):
    """The choices of the `knn-few-shot` strategy: the candidates that are tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16),
        min_length=1,
        description="Numbers of retrieved demonstrations to try; a number that fits the context for less than half of "
        "the dev inputs is left out.",
    )
    dev_examples: int = Field(default=200, ge=1, description=_DEV_EXAMPLES)
