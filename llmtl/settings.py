"""The whole recipe: the sections of all stages put together, and how it is read from a file or from arguments.

Each section is defined beside the code it configures. Not covered: carrying a recipe out (`llmtl.pipeline`).
"""

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llmtl.checks.config import LabelNoiseConfig
from llmtl.costs import PriceConfig
from llmtl.data import DataConfig
from llmtl.data.config import FILES, TRAIN_CORPUS
from llmtl.decision.automation import check_goal
from llmtl.decision.config import DecisionConfig
from llmtl.errors import MissingFileError
from llmtl.judging import JudgeConfig
from llmtl.kinds.table import kind_names
from llmtl.learning_curve.config import LearningCurveConfig
from llmtl.recipe import apply_overrides, read_yaml, validate, written_out
from llmtl.seals import STEPS
from llmtl.sections import BudgetConfig, EncoderConfig, ModelConfig
from llmtl.store import as_path
from llmtl.strategies.table import STRATEGIES, StrategiesConfig, kept
from llmtl.task_section import NAME_PATTERN, TaskConfig

RECIPE_FILE = "recipe.yaml"
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Recipe(BaseModel):
    """Everything that was chosen for one run."""

    model_config = _STRICT

    name: str = Field(pattern=NAME_PATTERN, description="The recipe's name, and by default the run folder's.")
    data: DataConfig = Field(
        description="Where the labelled examples are and how they are split; the path alone, or a section."
    )
    model: ModelConfig = Field(description="The pre-trained model, by its name alone or as a section.")
    encoder: EncoderConfig | None = Field(
        default=EncoderConfig(),
        description="The encoder, by its name alone or as a section; null measures no strategy that needs one.",
    )
    task: TaskConfig = Field(default=TaskConfig(), description="What to predict.")
    strategies: StrategiesConfig = Field(
        default=StrategiesConfig(), description="Which strategies to measure: a list of names, or a section."
    )
    decision: DecisionConfig = Field(default=DecisionConfig(), description="Margin, error rates and constraints.")
    prices: PriceConfig = Field(default=PriceConfig(), description="What compute costs.")
    learning_curve: LearningCurveConfig = Field(
        default=LearningCurveConfig(), description="How the score grows with the number of labelled examples."
    )
    label_noise: LabelNoiseConfig = Field(
        default=LabelNoiseConfig(), description="What is fitted again without the labels that look wrong."
    )
    judge: JudgeConfig | None = Field(
        default=None, description="A language model that compares outputs too (generation only); none by default."
    )
    budget: BudgetConfig = Field(default=BudgetConfig(), description="How long the run may take.")
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seeds the split, the demonstrations and training.")

    @model_validator(mode="after")
    def _draw_curves_of_learners(self) -> "Recipe":
        named = self.learning_curve.strategies or ()
        valid = [name for name, each in STRATEGIES.items() if each.facts.has_curve]
        wrong = next((name for name in named if name not in valid), None)
        if wrong is not None:
            raise ValueError(f"learning_curve.strategies has '{wrong}', and curves are of {', '.join(valid)}")
        return self

    @model_validator(mode="after")
    def _leave_what_is_right_or_wrong(self) -> "Recipe":
        check_goal(self.decision, self.task.kind, self.task.metric or self.task.kind.metrics[0])
        return self

    @model_validator(mode="after")
    def _prefer_where_it_is_learned(self) -> "Recipe":
        kind, readers = self.task.kind, {name: each.facts for name, each in STRATEGIES.items() if each.facts.prefers}
        if self.data.preferences is None:
            return self
        able = [name for name, facts in readers.items() if facts.serves(kind)]
        if not able:
            raise ValueError(
                f"no strategy learns from preferences in tasks of kind {kind.name}, only in generation; leave "
                "data.preferences out"
            )
        if not set(able) & set(self.strategies.run or ()):
            raise ValueError(
                f"data.preferences is learned from by {' and '.join(able)}, which strategies.run does not list; add it "
                "there, or leave data.preferences out"
            )
        return self

    @model_validator(mode="after")
    def _judge_what_may_be_judged(self) -> "Recipe":
        if self.judge is not None and not self.task.kind.judged:
            raise ValueError(f"only generation is judged, and this task is {self.task.kind}; leave 'judge' out")
        if self.judge is not None and self.decision.private and not self.judge.on_this_machine:
            raise ValueError(
                "this judge sends inputs to another machine, which decision.private bars; name an endpoint on a "
                "loopback address, such as http://127.0.0.1:8000/v1, or leave 'judge' out"
            )
        return self


def load_recipe(path: Path | str, overrides: Iterable[str] = ()) -> Recipe:
    """Read the recipe in a `recipe.yaml`, or in the folder that holds one, and apply dotted overrides.

    A relative data path is taken from the recipe's folder. From a recipe that a run kept, strategies that are not known
    here or do not serve its kind of task are dropped. Raises `RecipeError` or `MissingFileError`.
    """
    file = as_path(path, "The recipe")
    if file.is_dir():
        file = file / RECIPE_FILE
    document = read_yaml(file)
    if (file.parent / STEPS).is_dir():
        document = _kept(document)
    document = apply_overrides(written_out(Recipe, document), overrides)
    data = document.get("data")
    if isinstance(data, dict):
        document["data"] = {key: _beside(file, value) if _is_path(key, value) else value for key, value in data.items()}
    prices = document.get("prices")
    if isinstance(prices, dict) and "table" in prices:
        document["prices"] = {**prices, "table": _beside(file, prices["table"])}
    return validate(Recipe, document, source=f"'{file}'")


def _kept(document: dict[str, Any]) -> dict[str, Any]:
    task, strategies = document.get("task"), document.get("strategies")
    kind = task.get("kind") if isinstance(task, dict) else None
    if not isinstance(strategies, dict) or kind not in kind_names():
        return document
    return document | {"strategies": kept(strategies, kind)}


def _is_path(key: str, value: Any) -> bool:
    return key in FILES and (key, value) != ("corpus", TRAIN_CORPUS)


def _beside(file: Path, value: Any) -> Any:
    """Return a relative path that exists beside the recipe as a path from here; leave Hub names as they are."""
    if not isinstance(value, str) or Path(value).is_absolute():
        return value
    beside = file.parent / value
    if (file.parent / STEPS).is_dir() and not beside.exists() and Path(value).exists():
        return value  # earlier versions kept paths as they were given, from where the run was started
    return str(beside) if beside.exists() or Path(value).suffix else value


def recipe_for_data(path: Path | str, *, text: str, label: str, model: str, overrides: Iterable[str] = ()) -> Recipe:
    """Make the recipe for one labelled file or Hub data set, every other choice at its default."""
    if not Path(path).exists() and Path(path).suffix:
        raise MissingFileError(f"There is no file '{path}'; check the path.")
    document: dict[str, Any] = {
        "name": _as_name(_subject(Path(path))) or "run",
        "data": {"path": str(path), "text": text, "label": label},
        "model": {"name": model},
    }
    return validate(Recipe, apply_overrides(document, overrides), source="The command line")


def _as_name(text: str) -> str:
    """Write a text in the characters of a recipe's name: letters without their marks, dashes for all else."""
    letters = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    kept = (char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in letters)
    return "".join(kept).strip("-._")


def _subject(path: Path) -> str:
    """Return a telling name for a data file: `banking77` for `banking77/train.csv`."""
    generic = path.stem in ("train", "data", "dataset", "all")
    return path.parent.name if generic and path.parent.name not in ("", ".", "..", "data") else path.stem
