"""A finished run as an object: reopen it, read its decision, label new inputs with any of its strategies.

Not covered: making a run (`llmtl.pipeline.stages`), its files (`llmtl.pipeline.run_format`).
"""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from llmtl.decision.outcome import Decision
from llmtl.decision.transferred import Transferred, transferred
from llmtl.engines.engine_cache import EngineCache
from llmtl.errors import RunError
from llmtl.findings import CascadeTrace, finding
from llmtl.foreign_files import read_whole
from llmtl.left_overs import is_held
from llmtl.measured.fitting import FitRecord
from llmtl.measured.labelled import Answer, labelled, probabilities
from llmtl.measured.tables import Answered, Evaluations
from llmtl.pipeline.fits import load_fit, read_fit
from llmtl.pipeline.models import encoder_source_of, source_of
from llmtl.pipeline.run_format import (
    RECIPE,
    RunIndex,
    read_curves,
    read_decision,
    read_evaluations,
    read_examples,
    read_index,
    read_judging,
    read_noise,
    read_spending,
    read_summary,
)
from llmtl.pipeline.run_result import RunResult
from llmtl.quiet import quiet_logs
from llmtl.report.cards import decision_card
from llmtl.report.sentences import Summary, summarize
from llmtl.seals import check_content
from llmtl.settings import Recipe, load_recipe
from llmtl.store import as_path
from llmtl.strategies.cascade import Cascade, CascadePredictor
from llmtl.strategies.table import make
from llmtl.strategy import AnyStrategy, FitContext, Predictor
from llmtl.task import Task

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Run:
    """A run folder with its recipe, evaluations, and the decision with what was found out beside it.

    `folder` holds `decision.json`, `report.html`, `report.md` and `predictions/`.
    """

    folder: Path
    recipe: Recipe
    task: Task
    result: RunResult
    evaluations: Evaluations
    index: RunIndex = field(repr=False)
    _predictors: dict[str, Predictor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def decision(self) -> Decision:
        """Give the decision, as it was made."""
        return self.result.decision

    @cached_property
    def summary(self) -> Summary:
        """Tell the decision in sentences; of a run of an earlier version those that it kept."""
        if self.decision.rule is None:
            return read_summary(self.folder, self.decision)
        return summarize(self.decision, noise=self.result.noise, judging=self.result.judging)

    @cached_property
    def left(self) -> Evaluations:
        """Give the evaluations, on the part of dev that they saw, of the strategies that left the race."""
        return Evaluations(read_evaluations(self.folder, self.index.dropped))

    @cached_property
    def transfer(self) -> Transferred:
        """Gather what the run found out about transfer: the shape of each training, and comparisons with controls."""
        fitted = {name: self.fit(name).findings for name in self.index.fits}
        return transferred(self.decision, self.evaluations, fitted, prices=self.recipe.prices)

    @property
    def report(self) -> Path:
        """Name the file of the HTML report."""
        return self.folder / "report.html"

    def __reduce__(self) -> tuple[object, ...]:
        # loaded models stay behind: the folder holds what they are loaded from
        return load_run, (str(self.folder.resolve()),)

    def __repr__(self) -> str:
        return f"<run in '{self.folder}': {self.decision.verdict.value}, {self.decision.winner}>"

    def _repr_html_(self) -> str:
        return decision_card(self.decision, self.summary, self.report)

    @overload
    def predict(self, inputs: str, *, strategy: str | None = None, proba: Literal[False] = False) -> Answer: ...
    @overload
    def predict(
        self, inputs: list[str] | tuple[str, ...], *, strategy: str | None = None, proba: Literal[False] = False
    ) -> list[Answer]: ...
    @overload
    def predict(self, inputs: Any, *, strategy: str | None = None, proba: Literal[True]) -> "pd.DataFrame": ...
    @overload
    def predict(self, inputs: Any, *, strategy: str | None = None, proba: Literal[False] = False) -> Any: ...

    @quiet_logs()
    def predict(self, inputs: Any, *, strategy: str | None = None, proba: bool = False) -> Any:
        """Answer one text, a list or a Series of them by the winner, or by the named strategy.

        One text gives an answer, a list a list, a Series a Series with its index. An answer is a label or a text, or a
        list of labels, spans (as dicts) or ids, by the kind of task; None for a missing text and where the prediction
        failed. With `proba` the result is a DataFrame with the index of the inputs and a column per label, whose rows
        sum to 1. `predictor(strategy).predict` gives tokens, seconds and confidence, too.

        Raises `RunError` for a strategy that the run did not measure, `InputError` for other inputs than texts, and for
        `proba` where predictions have no probabilities.
        """
        predictor = self.predictor(strategy)
        if proba:
            return probabilities(inputs, predictor.predict, self.task.labels)
        return labelled(inputs, predictor.predict, self.task.kind)

    def predictions(self, strategy: str | None = None, *, split: str = "test") -> Answered:
        """Look up what a strategy, by default the winner, answered on test or on dev; `to_pandas()` makes it a frame.

        Raises `RunError` where the strategy was not measured on that split.
        """
        name = strategy or self.decision.winner
        measured = (*self.evaluations, *self.left)
        found = next((each for each in measured if (each.strategy, each.split) == (name, split)), None)
        if found is None:
            there = ", ".join(f"{each.strategy} on {each.split}" for each in measured)
            raise RunError(f"The run has no predictions of '{name}' on '{split}'; it has {there}.")
        return Answered(found, self.task.metric, {example.id: example for example in read_examples(self.folder, split)})

    def errors(self, strategy: str | None = None, *, split: str = "test") -> "pd.DataFrame":
        """Give the wrong answers of the winner, or of a strategy, with their texts: the worst and the surest first."""
        return self.predictions(strategy, split=split).errors()

    def predictor(self, name: str | None = None) -> Predictor:
        """Load the fitted strategy of that name, by default the winner.

        Raises `RunError` for one that the run did not measure.
        """
        name = name or self.decision.winner
        if name not in self.index.fits:
            measured = ", ".join(self.index.fits)
            raise RunError(f"The run has no strategy '{name}'; it measured {measured}.")
        if name not in self._predictors:
            self._predictors[name] = self._loaded(name)
        return self._predictors[name]

    def cascade(self, name: str) -> Cascade | None:
        """Say what the strategy of that name is composed of; None for one that was fitted."""
        trace = finding(self.fit(name).findings, CascadeTrace)
        return None if trace is None else Cascade(trace.first, trace.then, trace.threshold)

    def _loaded(self, name: str) -> Predictor:
        cascade = self.cascade(name)
        if cascade is not None:
            return CascadePredictor(self.predictor(cascade.first), self.predictor(cascade.then), cascade.threshold)
        folder = self.folder / self.index.fits[name]
        strategy = make(name, self.recipe.strategies)
        return load_fit(strategy, self._context(strategy, folder), folder)

    def fit(self, name: str) -> FitRecord:
        """Read what fitting the strategy of that name took and found out."""
        return read_fit(self.folder / self.index.fits[name])

    def _context(self, strategy: AnyStrategy, folder: Path) -> FitContext:
        return FitContext(
            task=self.task,
            train=read_examples(self.folder, "train"),
            dev=read_examples(self.folder, "dev"),
            model=source_of(self.recipe.model),
            load_engine=self._engines.load,
            folder=folder,
            seed=self.recipe.seed,
            prices=self.recipe.prices,
            others=self.recipe.strategies.others(strategy.name),
            encoder=encoder_source_of(self.recipe.encoder),
        )

    @cached_property
    def _engines(self) -> EngineCache:
        return EngineCache(source_of(self.recipe.model), self.recipe.model.engine)


def load_run(folder: Path | str) -> Run:
    """Open the finished run in `folder`; raises `RunError` when there is none, or it is incomplete or being written."""
    folder = as_path(folder, "The run folder")
    if not folder.is_dir():
        raise RunError(f"There is no run folder at '{folder}'; make one with `llmtl run`.")
    try:
        return _opened(folder)
    except RunError as error:
        require_written(folder, error)
        raise


def require_written(folder: Path, error: RunError) -> None:
    """Raise `RunError` where what is wrong with a run folder is that another command is writing it."""
    if os.access(folder, os.R_OK) and is_held(folder):
        raise RunError(
            f"'{folder}' is being written by another command, such as `llmtl run`; wait until that has ended."
        ) from error


def _opened(folder: Path) -> Run:
    index = read_index(folder)
    check_content(folder / RECIPE, read_whole(folder / RECIPE) if (folder / RECIPE).is_file() else b"")
    return Run(
        folder=folder,
        recipe=load_recipe(folder / RECIPE),
        task=index.task,
        result=RunResult(
            read_decision(folder), read_noise(folder), read_judging(folder), read_curves(folder), read_spending(folder)
        ),
        evaluations=Evaluations(read_evaluations(folder, index.evaluations)),
        index=index,
    )
