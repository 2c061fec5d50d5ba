"""One strategy by itself, without a run: fit it on examples, ask it.

Not covered: scoring and comparing strategies (`llmtl.run`), keeping a fitted one (`Predictor.save`).
"""

import difflib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any
from weakref import finalize

from llmtl.checkpoints import locate
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.engine_cache import EngineCache
from llmtl.engines.protocol import ModelSource
from llmtl.errors import InputError
from llmtl.findings import FitFinding
from llmtl.fit_context import FitContext
from llmtl.hardware import inspect
from llmtl.measured.labelled import labelled, probabilities
from llmtl.packages import LOCAL, require
from llmtl.pocket import resolve
from llmtl.recipe import validate
from llmtl.strategies.table import STRATEGIES
from llmtl.strategy import AnyStrategy, Predictor, Runs
from llmtl.task import Example, Task

if TYPE_CHECKING:
    import pandas as pd

Given = Iterable[Example | tuple[str, str]]
"""Examples, or pairs of a text and its reference."""


class _Folder:
    """A folder that goes when nobody holds it any more: what is loaded late is read from it."""

    def __init__(self) -> None:
        self.path = Path(mkdtemp(prefix="llmtl-"))
        finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@dataclass(frozen=True, repr=False)
class FittedStrategy:
    """A fitted strategy; `findings` are what fitting found out, `predictor` predicts with all that is known."""

    name: str
    task: Task
    predictor: Predictor = field(repr=False)
    findings: tuple[FitFinding, ...] = field(repr=False)
    _folder: "_Folder" = field(repr=False)

    def __repr__(self) -> str:
        return f"<{self.name}, fitted for {self.task.name}>"

    def predict(self, inputs: Any, *, proba: bool = False) -> Any:
        """Answer one text, a list or a Series of them in the form in which they come, as `Run.predict` does."""
        if proba:
            frame: pd.DataFrame = probabilities(inputs, self.predictor.predict, self.task.labels)
            return frame
        return labelled(inputs, self.predictor.predict, self.task.kind)


@dataclass(frozen=True)
class OneStrategy:
    """A strategy with its choices, not yet fitted."""

    strategy: AnyStrategy

    def fit(
        self,
        task: Task,
        train: Given,
        dev: Given,
        *,
        model: str | None = None,
        encoder: str = "minilm",
        seed: int = 0,
    ) -> FittedStrategy:
        """Fit on train, tuned on dev.

        `model` is a name, a folder or a Hub name, and must be given to a strategy that runs a language model. What
        fitting writes is kept as long as the result is. Raises `InputError` kin for a kind of task that the strategy
        does not serve, for a missing model, and as fitting does.
        """
        facts = self.strategy.facts
        if not isinstance(task, Task):
            raise InputError(f"The task is {task!r:.40}; give a llmtl.Task, such as Task('routing', ('a', 'b')).")
        if not facts.serves(task.kind):
            raise InputError(
                f"The strategy '{facts.name}' does not serve tasks of kind {task.kind.name}; take another."
            )
        if task.kind.searches:
            raise InputError("A task of retrieval needs a corpus; use llmtl.run and llmtl.search.")
        needs_model = facts.runs is Runs.BASE_MODEL
        if needs_model and model is None:
            raise InputError(f"The strategy '{facts.name}' needs a language model; give model='smollm2' or another.")
        self.strategy.require_packages()
        source = _source(model or "", needed=needs_model)
        engines, folder = EngineCache(source), _Folder()
        context = FitContext(
            task=task,
            train=_examples(train, "train", task),
            dev=_examples(dev, "dev", task),
            model=source,
            load_engine=engines.load,
            release_engines=engines.release,
            folder=folder.path,
            seed=seed,
            device=inspect().device,
            others={name: STRATEGIES[name].section() for name in facts.reads if name in STRATEGIES},
            encoder=EncoderSource(encoder) if facts.looks_at_encoder else None,
        )
        fitted = self.strategy.fit(context)
        return FittedStrategy(facts.name, task, fitted.predictor, fitted.findings, folder)


def one_strategy(name: str, **choices: Any) -> OneStrategy:
    """Find a strategy by its name; `choices` are keys of its section of a recipe.

    Raises `InputError` for an unknown name, and `RecipeError` for choices that the section refuses.
    """
    if not isinstance(name, str):
        raise InputError(f"The strategy is {name!r:.40}; give its name, such as 'few-shot'.")
    if name not in STRATEGIES:
        near = difflib.get_close_matches(name, STRATEGIES, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(STRATEGIES)}"
        raise InputError(f"There is no strategy '{name}' ({hint}).")
    kind = STRATEGIES[name]
    return OneStrategy(kind(validate(kind.section, choices, source=f"The strategy '{name}'")))


def _source(name: str, *, needed: bool) -> ModelSource:
    if not needed:
        return ModelSource(name)
    require("A language model", *LOCAL)
    embedded = resolve(name)
    return ModelSource(locate(str(embedded) if embedded else name))


def _examples(given: Given, part: str, task: Task) -> tuple[Example, ...]:
    """Make examples of pairs; raises `InputError` for anything else, for labels of another task, and for none."""
    found: list[Example] = []
    if isinstance(given, str | Mapping) or hasattr(given, "columns") or not hasattr(given, "__iter__"):
        raise InputError(
            f"{part} is of type {type(given).__name__}; give a list of Examples, or of texts with references."
        )
    for number, each in enumerate(given, start=1):
        if isinstance(each, Example):
            found.append(each)
        elif isinstance(each, Sequence) and len(each) == 2 and all(isinstance(value, str) for value in each):
            found.append(Example(f"{part}-{number}", each[0], each[1]))
        else:
            raise InputError(f"Item {number} of {part} is {each!r:.40}; give an Example, or a text and its reference.")
    if not found:
        raise InputError(f"There are no examples in {part}; give some.")
    named = (label for each in found for label in task.kind.named(each.reference))
    odd = next((label for label in named if label not in task.labels), None)
    if odd is not None:
        raise InputError(
            f"The label {odd!r:.40} in {part} is not one of the task's; correct it, or add it to the task."
        )
    return tuple(found)
