"""A finished run as an object: reopen it, read its decision, label new inputs with any of its strategies.

Not covered: making a run (`llmtl.pipeline.stages`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from llmtl.decision import Decision, from_json
from llmtl.errors import InputError, RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.models import EngineCache, source_of
from llmtl.recipe import read_yaml
from llmtl.settings import Recipe, load_recipe
from llmtl.store import STEPS, read_json, read_json_lines
from llmtl.strategies.table import build
from llmtl.strategy import FitContext, Prediction, Predictor
from llmtl.task import Example, Task

RECIPE, DECISION, INDEX, PROVENANCE = "recipe.yaml", "decision.json", "index.json", "provenance.json"
EVALUATION = TypeAdapter(Evaluation)
TASK = TypeAdapter(Task)
EXAMPLES = TypeAdapter(tuple[Example, ...])


@dataclass(frozen=True)
class Run:
    """A run folder with its recipe, decision and evaluations.

    `folder` holds `decision.json`, `report.html`, `report.md` and `predictions/`.
    """

    folder: Path
    recipe: Recipe
    task: Task
    decision: Decision
    evaluations: tuple[Evaluation, ...]
    index: Mapping[str, Any] = field(repr=False)
    _predictors: dict[str, Predictor] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def left(self) -> tuple[Evaluation, ...]:
        """Return the evaluations, on the part of dev that they saw, of the strategies that left the race."""
        return _evaluations(self.folder, self.index.get("dropped", []))

    @property
    def report(self) -> Path:
        """Return the path of the HTML report."""
        return self.folder / "report.html"

    def predict(self, texts: Sequence[str], *, strategy: str | None = None) -> list[Prediction]:
        """Return one prediction a text by the winner, or by the named strategy.

        Raises `RunError` for a strategy that the run did not measure.
        """
        if isinstance(texts, str):
            raise RunError("Run.predict takes a list of texts; write predict([text]).")
        return self.predictor(strategy or self.decision.winner).predict(texts)

    def predictor(self, name: str) -> Predictor:
        """Return the fitted strategy of that name; raises `RunError` for one that the run did not measure."""
        if name not in self.index["fits"]:
            measured = ", ".join(self.index["fits"])
            raise RunError(f"The run has no strategy '{name}'; it measured {measured}.")
        if name not in self._predictors:
            folder = self.folder / self.index["fits"][name]
            strategy = next(item for item in build(self.recipe.strategies, self.task.kind) if item.name == name)
            state = read_json(folder / "result.json")["state"]
            self._predictors[name] = strategy.restore(self._context(folder), state)
        return self._predictors[name]

    def _context(self, folder: Path) -> FitContext:
        return FitContext(
            task=self.task,
            train=read_examples(self.folder, "train"),
            dev=read_examples(self.folder, "dev"),
            model=source_of(self.recipe.model),
            load_engine=self._engines.load,
            folder=folder,
            seed=self.recipe.seed,
            prices=self.recipe.prices,
        )

    @cached_property
    def _engines(self) -> EngineCache:
        return EngineCache(source_of(self.recipe.model), self.recipe.model.engine)


def read_examples(folder: Path, split: str) -> tuple[Example, ...]:
    """Return the examples of a split kept in a run folder."""
    return EXAMPLES.validate_python(read_json_lines(folder / "data" / f"{split}.jsonl"))


def require_own(folder: Path, recipe: Recipe) -> None:
    """Check that a run of `recipe` in `folder` overwrites nothing; raises `RunError` for what is not its own.

    That is a file, a recipe without a run, and a run of other data or of another task. Changed choices and changed rows
    are no reason: what they touch is computed again.
    """
    if folder.exists() and not folder.is_dir():
        raise RunError(f"'{folder}' is a file, and a run needs a folder; name another with --out.")
    if not (folder / RECIPE).is_file():
        return
    if not (folder / STEPS).is_dir():
        raise RunError(f"'{folder / RECIPE}' is a recipe that the run would overwrite; name another folder with --out.")
    before, now = _subject(folder), recipe.model_dump(mode="json")
    for section, key in (("data", "path"), ("data", "text"), ("data", "label"), ("task", "kind")):
        old, new = before.get((section, key)), now[section][key]
        if old not in (None, new) and not (key == "path" and Path(old).resolve() == Path(new).resolve()):
            raise RunError(
                f"'{folder}' holds a run with {section}.{key} '{old}', not '{new}'; name another folder with --out, or "
                "delete that one."
            )


def _subject(folder: Path) -> dict[tuple[str, str], str]:
    """Return what the recipe kept in a run folder says, by section and key; nothing where it is damaged."""
    try:
        sections = read_yaml(folder / RECIPE)
    except InputError:
        return {}
    return {
        (name, key): value
        for name, section in sections.items()
        if isinstance(section, dict)
        for key, value in section.items()
        if isinstance(value, str)
    }


def load_run(folder: Path | str) -> Run:
    """Return the finished run in `folder`; raises `RunError` when there is none or it is incomplete."""
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"There is no run folder at '{folder}'; make one with `llmtl run`.")
    index = read_json(folder / INDEX)
    try:
        return Run(
            folder=folder,
            recipe=load_recipe(folder / RECIPE),
            task=TASK.validate_python(index["task"]),
            decision=from_json(read_json(folder / DECISION)),
            evaluations=_evaluations(folder, index["evaluations"]),
            index=index,
        )
    except (ValidationError, KeyError, TypeError):
        raise RunError(f"'{folder}' was written by another version of llmtl; run the recipe again.") from None


def _evaluations(folder: Path, paths: Sequence[str]) -> tuple[Evaluation, ...]:
    return tuple(EVALUATION.validate_python(read_json(folder / path / "result.json")) for path in paths)
