"""The `learning_curve` section of a recipe. Not covered: the choices of the strategies themselves."""

from pydantic import BaseModel, ConfigDict, Field


class LearningCurveConfig(BaseModel):
    """Which strategies are fitted on growing parts of train, and how much time that may take."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = Field(default=True, description="Whether to measure a learning curve at all.")
    points: int = Field(
        default=5,
        ge=4,
        le=10,
        description="Sizes of train to measure, the whole of it included; a forecast needs four.",
    )
    strategies: tuple[str, ...] | None = Field(
        default=None,
        description="Whose curves to measure, of those that the recipe runs and that have one; by default those "
        "of the winner, of its best rival on test, and of a strategy whose control without pre-training runs, too.",
    )
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="Wall-clock minutes for all curves together: a strategy whose forecast time does not fit is left "
        "out. By default a tenth of the run's budget, and an hour without one.",
    )
