"""The `label_noise` section of a recipe. Not covered: how suspects are found (`llmtl.checks.label_noise`)."""

from pydantic import BaseModel, ConfigDict, Field


class LabelNoiseConfig(BaseModel):
    """What is done again without the labels that look wrong, to see whether the verdict rests on them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    refit_minutes: float | None = Field(
        default=None,
        ge=0,
        description="Wall-clock minutes for fitting and scoring strategies with a language model again without the "
        "suspects in train: one whose forecast time does not fit keeps its predictions, which is said. Baselines are "
        "always fitted again. By default a twentieth of the run's budget, and half an hour without one.",
    )
