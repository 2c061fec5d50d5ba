"""The table of strategies, cheapest first, and the recipe section that chooses among them.

To add a strategy, write it beside its siblings and add one line here. Not covered: what a strategy does (its module),
fitting and evaluating (`llmtl.pipeline`).
"""

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llmtl.baselines.config import TfidfConfig
from llmtl.predictor import Strategy
from llmtl.prompting.config import FewShotConfig, KnnFewShotConfig
from llmtl.tuning.config import QloraConfig


class StrategiesConfig(BaseModel):
    """Which strategies to measure, and the choices of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: tuple[str, ...] = Field(
        default_factory=lambda: tuple(STRATEGIES),
        min_length=1,
        description="The strategies to measure; by default all of them.",
        json_schema_extra=lambda schema: schema.update(items={"type": "string", "enum": list(STRATEGIES)}),
    )
    tfidf: TfidfConfig = Field(default_factory=TfidfConfig, description="TF-IDF and logistic regression.")
    few_shot: FewShotConfig = Field(
        default_factory=FewShotConfig, description="The same demonstrations for every input."
    )
    knn_few_shot: KnnFewShotConfig = Field(
        default_factory=KnnFewShotConfig, description="Demonstrations retrieved for each input."
    )
    qlora: QloraConfig = Field(default_factory=QloraConfig, description="Fine-tuning a 4-bit model with adapters.")

    @field_validator("run")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names; raises `ValueError` that lists every unknown or repeated one."""
        problems = [_unknown(name) for name in dict.fromkeys(names) if name not in STRATEGIES]
        problems += [f"'{name}' is listed twice" for name in STRATEGIES if names.count(name) > 1]
        if problems:
            raise ValueError(", and ".join(problems))
        return names


def build(config: StrategiesConfig) -> tuple[Strategy, ...]:
    """Return the strategies that `config` runs, cheapest first whatever order they are listed in."""
    return tuple(make(config) for name, make in STRATEGIES.items() if name in config.run)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, STRATEGIES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"valid here: {', '.join(STRATEGIES)}"
    return f"there is no strategy '{name}' ({hint})"


# Each builder imports its strategy late: reading a recipe must not load scikit-learn or torch.


def _majority(config: StrategiesConfig) -> Strategy:
    from llmtl.baselines.majority import Majority

    del config
    return Majority()


def _tfidf(config: StrategiesConfig) -> Strategy:
    from llmtl.baselines.tfidf import Tfidf

    return Tfidf(config.tfidf)


def _zero_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.prompting.zero_shot import ZeroShot

    del config
    return ZeroShot()


def _few_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.prompting.few_shot import FewShot

    return FewShot(config.few_shot)


def _knn_few_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.prompting.knn_few_shot import KnnFewShot

    return KnnFewShot(config.knn_few_shot)


def _qlora(config: StrategiesConfig) -> Strategy:
    from llmtl.tuning.qlora import Qlora

    return Qlora(config.qlora)


STRATEGIES: Mapping[str, Callable[[StrategiesConfig], Strategy]] = MappingProxyType(
    {
        "majority": _majority,
        "tfidf": _tfidf,
        "zero-shot": _zero_shot,
        "few-shot": _few_shot,
        "knn-few-shot": _knn_few_shot,
        "qlora": _qlora,
    }
)
