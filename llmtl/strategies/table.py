"""The table of strategies, cheapest first, and the recipe section that chooses among them.

To add a strategy, write it beside its siblings and add one line here. Not covered: what a strategy does (its module),
fitting and evaluating (`llmtl.pipeline`).
"""

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llmtl.classical.config import CrfConfig, DictionaryConfig, TfidfConfig
from llmtl.errors import RecipeError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind, Shape
from llmtl.kinds.table import kind_named
from llmtl.prompting.config import (
    FewShotConfig,
    HostedConfig,
    KnnFewShotConfig,
    ManyShotConfig,
    ZeroShotConfig,
)
from llmtl.strategy import Strategy
from llmtl.tuning.config import QloraConfig

HOSTED: frozenset[str] = frozenset({"hosted"})
"""The strategies that ask an endpoint, mostly on another machine: measured only where the recipe lists them."""


_Name = Annotated[str, Field(json_schema_extra=lambda schema: schema.update(enum=list(STRATEGIES)))]


class StrategiesConfig(BaseModel):
    """Which strategies to measure, and the choices of each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Annotated[tuple[_Name, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="The strategies to measure; by default all that serve the kind of task, but for hosted ones.",
    )
    tfidf: TfidfConfig = Field(default_factory=TfidfConfig, description="TF-IDF and logistic regression.")
    dictionary: DictionaryConfig = Field(
        default_factory=DictionaryConfig, description="The words that were spans in train (extraction)."
    )
    crf: CrfConfig = Field(default_factory=CrfConfig, description="A linear-chain random field (extraction).")
    zero_shot: ZeroShotConfig = Field(default_factory=ZeroShotConfig, description="The instruction and the labels.")
    few_shot: FewShotConfig = Field(
        default_factory=FewShotConfig, description="The same demonstrations for every input."
    )
    many_shot: ManyShotConfig = Field(
        default_factory=ManyShotConfig, description="As many demonstrations as the context holds, always the same."
    )
    knn_few_shot: KnnFewShotConfig = Field(
        default_factory=KnnFewShotConfig, description="Demonstrations retrieved for each input."
    )
    hosted: HostedConfig = Field(default_factory=HostedConfig, description="A model at an OpenAI-compatible endpoint.")
    qlora: QloraConfig = Field(default_factory=QloraConfig, description="Fine-tuning a 4-bit model with adapters.")

    @field_validator("run")
    @classmethod
    def _known(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Return the names; raises `ValueError` that lists every unknown or repeated one."""
        if names is None:
            return None
        problems = [_unknown(name) for name in dict.fromkeys(names) if name not in STRATEGIES]
        problems += [f"'{name}' is listed twice" for name in STRATEGIES if names.count(name) > 1]
        if problems:
            raise ValueError(", and ".join(problems))
        return names


def sending_away(config: StrategiesConfig) -> dict[str, str]:
    """Return the strategies that the recipe runs and that send inputs to another machine, with why they are barred."""
    away = [name for name in config.run or () if name in HOSTED and not config.hosted.on_this_machine]
    why = f"it would send inputs to '{config.hosted.base_url}', which decision.private bars; nothing was sent"
    return dict.fromkeys(away, why)


def build(config: StrategiesConfig, kind: Kind = CLASSIFICATION) -> tuple[Strategy, ...]:
    """Make the strategies that `config` runs, cheapest first whatever order they are listed in.

    Raises `RecipeError` for one that is listed and does not serve the kind of task.
    """
    if config.run is None:
        names = [name for name in STRATEGIES if name not in HOSTED and serves(name, kind)]
    else:
        names = [name for name in STRATEGIES if name in config.run]
    unfit = next((name for name in config.run or () if not serves(name, kind)), None)
    if unfit is not None:
        valid = ", ".join(name for name in STRATEGIES if serves(name, kind))
        raise RecipeError(
            f"The strategy '{unfit}' does not serve tasks of kind {kind}; take it out of 'strategies.run' "
            f"(valid here: {valid})."
        )
    return tuple(make(name, config) for name in names)


def make(name: str, config: StrategiesConfig) -> Strategy:
    """Make one strategy, whether or not `config` lists it."""
    return STRATEGIES[name](config)


def kept(section: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Drop from a kept `strategies` section what this installation has no strategy for, or none of that kind.

    A run folder is older than the table that reads it, or was written where more strategies were installed.
    """
    known = {key: value for key, value in section.items() if key in StrategiesConfig.model_fields}
    if isinstance(known.get("run"), list):
        of_kind = [name for name in known["run"] if name in STRATEGIES and serves(name, kind_named(kind))]
        known["run"] = of_kind or None
    return known


def serves(name: str, kind: Kind) -> bool:
    """Return whether a strategy can solve tasks of a kind."""
    return kind.shape in SHAPES.get(name, frozenset(Shape))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, STRATEGIES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"valid here: {', '.join(STRATEGIES)}"
    return f"there is no strategy '{name}' ({hint})"


# Each builder imports its strategy late: reading a recipe must not load scikit-learn or torch.


def _majority(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.majority import Majority

    del config
    return Majority()


def _tfidf(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.tfidf import Tfidf

    return Tfidf(config.tfidf)


def _dictionary(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.dictionary import Dictionary

    return Dictionary(config.dictionary)


def _crf(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.crf import Crf

    return Crf(config.crf)


def _nearest(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.nearest import Nearest

    del config
    return Nearest()


def _zero_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.zero_shot import ZeroShot

    return ZeroShot(config.zero_shot)


def _few_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.few_shot import FewShot

    return FewShot(config.few_shot)


def _many_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.many_shot import ManyShot

    return ManyShot(config.many_shot, above=max(config.few_shot.shots))


def _hosted(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.hosted import Hosted

    return Hosted(config.hosted)


def _knn_few_shot(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.knn_few_shot import KnnFewShot

    return KnnFewShot(config.knn_few_shot)


def _qlora(config: StrategiesConfig) -> Strategy:
    from llmtl.strategies.qlora import Qlora

    return Qlora(config.qlora)


STRATEGIES: Mapping[str, Callable[[StrategiesConfig], Strategy]] = MappingProxyType(
    {
        "majority": _majority,
        "tfidf": _tfidf,
        "dictionary": _dictionary,
        "crf": _crf,
        "nearest": _nearest,
        "zero-shot": _zero_shot,
        "few-shot": _few_shot,
        "many-shot": _many_shot,
        "knn-few-shot": _knn_few_shot,
        "hosted": _hosted,
        "qlora": _qlora,
    }
)

SHAPES: Mapping[str, frozenset[Shape]] = MappingProxyType(
    {
        "tfidf": frozenset({Shape.LABEL, Shape.LABELS}),
        "dictionary": frozenset({Shape.SPANS}),
        "crf": frozenset({Shape.SPANS}),
        "nearest": frozenset({Shape.TEXT}),
    }
)
"""The shapes of answers that a strategy serves; one that is not listed serves all."""
