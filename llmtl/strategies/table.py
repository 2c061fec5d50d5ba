"""The table of strategies, cheapest first, and the recipe section that chooses among them.

To add a strategy, write its file beside the others and add one row here. Another package adds one by naming its class
under the entry-point group `llmtl.strategies`; it comes after those of llmtl. Not covered: what a strategy does (its
file), fitting and evaluating (`llmtl.pipeline`).
"""

import difflib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from llmtl.engines.openai.config import EndpointConfig
from llmtl.errors import RecipeError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.kinds.table import KINDS, kind_named
from llmtl.recipe import ShortSection
from llmtl.strategies.bm25 import Bm25
from llmtl.strategies.class_head import ClassHead
from llmtl.strategies.crf import Crf
from llmtl.strategies.dictionary import Dictionary
from llmtl.strategies.dpo import Dpo
from llmtl.strategies.embedding_head import EmbeddingHead
from llmtl.strategies.embedding_search import EmbeddingSearch
from llmtl.strategies.encoder import FineTunedEncoder
from llmtl.strategies.few_shot import FewShot
from llmtl.strategies.from_scratch import FromScratch
from llmtl.strategies.full import Full
from llmtl.strategies.hosted import Hosted
from llmtl.strategies.hybrid import Hybrid
from llmtl.strategies.knn_few_shot import KnnFewShot
from llmtl.strategies.linear_probe import LinearProbe
from llmtl.strategies.llm_embedding_head import LlmEmbeddingHead
from llmtl.strategies.lora import Lora
from llmtl.strategies.majority import Majority
from llmtl.strategies.many_shot import ManyShot
from llmtl.strategies.nearest import Nearest
from llmtl.strategies.qlora import Qlora
from llmtl.strategies.setfit import SetFit
from llmtl.strategies.tfidf import Tfidf
from llmtl.strategies.tuned_search import TunedSearch
from llmtl.strategies.zero_shot import ZeroShot
from llmtl.strategy import Alone, AnyStrategy, Facts, Runs, Strategy
from llmtl.task import Metric

GROUP = "llmtl.strategies"
OWN: tuple[type[AnyStrategy], ...] = (
    Majority,
    Tfidf,
    Dictionary,
    Crf,
    Nearest,
    Bm25,
    EmbeddingHead,
    EmbeddingSearch,
    LinearProbe,
    LlmEmbeddingHead,
    ZeroShot,
    FewShot,
    ManyShot,
    KnnFewShot,
    Hosted,
    TunedSearch,
    SetFit,
    FineTunedEncoder,
    FromScratch,
    ClassHead,
    Qlora,
    Lora,
    Hybrid,
    Full,
    Dpo,
)
"""The strategies of llmtl, cheapest first."""


def _from_elsewhere() -> tuple[tuple[type[AnyStrategy], ...], tuple[str, ...]]:
    """List the strategies of other packages, and in one line each what is wrong with the others."""
    found: list[type[AnyStrategy]] = []
    problems: list[str] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            loaded = point.load()
        except (ImportError, AttributeError, SyntaxError, NameError, TypeError, ValueError) as error:
            problems.append(f"{_whose(point)} cannot be loaded ({type(error).__name__}: {error})")
            continue
        why = _why_not(loaded, {each.facts.name for each in (*OWN, *found)})
        if why is None:
            found.append(loaded)
        else:
            problems.append(f"{_whose(point)} {why}")
    return tuple(found), tuple(f"{problem}; repair or uninstall that package" for problem in problems)


def _whose(point: EntryPoint) -> str:
    package = f" of the package '{point.dist.name}'" if point.dist is not None else ""
    return f"the strategy '{point.name}'{package}"


def _why_not(loaded: object, taken: set[str]) -> str | None:
    """Say why what an entry point names cannot be a strategy; None where it can."""
    if not (isinstance(loaded, type) and issubclass(loaded, Strategy)):
        return "is not a subclass of llmtl.strategy.Strategy"
    if not isinstance(getattr(loaded, "facts", None), Facts):
        return "has no facts"
    if loaded.facts.name in taken:
        return f"has the name '{loaded.facts.name}', which another strategy has"
    if loaded.facts.served not in get_args(Alone):
        known = ", ".join(each.__name__ for each in get_args(Alone))
        return f"is served as {getattr(loaded.facts.served, '__name__', loaded.facts.served)}, and llmtl serves {known}"
    return None


_ELSEWHERE, PROBLEMS = _from_elsewhere()
STRATEGIES: Mapping[str, type[AnyStrategy]] = {each.facts.name: each for each in (*OWN, *_ELSEWHERE)}
"""All strategies by name: those of llmtl, cheapest first, then those of other packages."""
DEFAULT = tuple(name for name, each in STRATEGIES.items() if each.facts.default)


def section_name(strategy: str) -> str:
    """Name the key of a strategy's section in a recipe."""
    return strategy.replace("-", "_")


_Name = Annotated[str, Field(json_schema_extra=lambda schema: schema.update(enum=list(STRATEGIES)))]


class _Strategies(ShortSection):
    """Which strategies to measure, and the choices of each; a list of names alone stands for the whole section."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    short_for = "run"

    run: Annotated[tuple[_Name, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="The strategies to measure; by default a choice of those that serve the kind of task: none at a "
        "provider and, of those that tune the language model, qlora (lora on a CPU).",
    )
    cascade: bool = Field(
        default=True,
        description="Compose cascades of what was measured (classification): a strategy that costs little answers what "
        "it is sure of, and a better one the rest.",
    )

    @model_validator(mode="after")
    def _known(self) -> "_Strategies":
        """Raise `ValueError` that lists every unknown or repeated name, and strategies that cannot be used."""
        names = self.run or ()
        problems = [*PROBLEMS, *(_unknown(name) for name in dict.fromkeys(names) if name not in STRATEGIES)]
        problems += [f"'{name}' is listed twice" for name in STRATEGIES if names.count(name) > 1]
        if problems:
            raise ValueError(", and ".join(problems))
        return self

    def of(self, strategy: str) -> BaseModel:
        """Return the section of a strategy."""
        given = getattr(self, section_name(strategy), None)
        return given if isinstance(given, BaseModel) else STRATEGIES[strategy].section()

    def others(self, strategy: str) -> dict[str, BaseModel]:
        """Return the sections that a strategy reads beside its own, by strategy."""
        return {name: self.of(name) for name in STRATEGIES[strategy].facts.reads if name in STRATEGIES}


if TYPE_CHECKING:
    StrategiesConfig = _Strategies
else:
    StrategiesConfig = create_model(
        "StrategiesConfig",
        __base__=_Strategies,
        __doc__=_Strategies.__doc__,
        **{
            section_name(name): (each.section, Field(default_factory=each.section, description=each.facts.summary))
            for name, each in STRATEGIES.items()
            if each.section.model_fields
        },
    )
    """The section of a recipe: the names to run, and the section of every strategy that has choices."""


def facts_of(name: str) -> Facts | None:
    """Look up the facts of a strategy; None for a name that is not in the table, as prediction files may have."""
    return STRATEGIES[name].facts if name in STRATEGIES else None


def usual_baselines(metric: Metric) -> list[str]:
    """Name the baselines to add first where a task has none, of all kinds of task that the metric judges."""
    judged = [kind for kind in KINDS if metric in kind.metrics]
    usual = [each.facts for each in STRATEGIES.values() if each.facts.usual_baseline]
    return [facts.name for facts in usual if any(facts.serves(kind) for kind in judged)]


def sending_away(config: StrategiesConfig) -> dict[str, str]:
    """List the strategies that the recipe runs and that send inputs to another machine, with why they are barred."""
    found = {}
    for name in config.run or DEFAULT:
        section = config.of(name)
        if STRATEGIES[name].facts.runs is not Runs.PROVIDER:
            continue
        if isinstance(section, EndpointConfig) and section.on_this_machine:
            continue
        where = f"'{section.base_url}'" if isinstance(section, EndpointConfig) else "its provider"
        found[name] = f"it would send inputs to {where}, which decision.private bars; nothing was sent"
    return found


def make(name: str, config: StrategiesConfig) -> AnyStrategy:
    """Make the strategy of that name with its section of the recipe, whether or not `config` lists it."""
    return STRATEGIES[name](config.of(name))


def kept(section: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Drop from a kept `strategies` section what this installation has no strategy for, or none of that kind.

    A run folder is older than the table that reads it, or was written where more strategies were installed.
    """
    known = {key: value for key, value in section.items() if key in StrategiesConfig.model_fields}
    if isinstance(known.get("run"), list):
        of_kind = [
            name for name in known["run"] if name in STRATEGIES and STRATEGIES[name].facts.serves(kind_named(kind))
        ]
        known["run"] = of_kind or None
    return known


def build(
    config: StrategiesConfig, kind: Kind = CLASSIFICATION, *, has_encoder: bool = True
) -> tuple[AnyStrategy, ...]:
    """Make the strategies that `config` runs, cheapest first whatever order they are listed in.

    Without a list those that do not serve the kind of task are left out and, where the recipe has no encoder, those
    that need one; raises `RecipeError` for one of them that was asked for by name.
    """
    unfit = [name for name in config.run or () if not STRATEGIES[name].facts.serves(kind)]
    if unfit:
        valid = ", ".join(name for name, each in STRATEGIES.items() if each.facts.serves(kind))
        raise RecipeError(
            f"The strategy '{unfit[0]}' does not serve tasks of kind {kind.name}; take it out of 'strategies.run' "
            f"(valid here: {valid})."
        )
    lacking = [] if has_encoder else [name for name, each in STRATEGIES.items() if each.facts.runs is Runs.ENCODER]
    for name in config.run or ():
        if name in lacking:
            raise RecipeError(f"The strategy '{name}' needs an encoder; set encoder=minilm, a Hub name or a folder.")
    names = DEFAULT if config.run is None else config.run
    found = [name for name, each in STRATEGIES.items() if name in names and each.facts.serves(kind)]
    return tuple(make(name, config) for name in found if name not in lacking)


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, STRATEGIES, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"valid here: {', '.join(STRATEGIES)}"
    return f"there is no strategy '{name}' ({hint})"
