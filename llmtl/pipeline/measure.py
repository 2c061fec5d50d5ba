"""Fitting every strategy and evaluating it on a split, each as a step of the store, so that a run can be resumed.

Not covered: the order of the stages (`llmtl.pipeline.stages`).
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmtl import __version__
from llmtl.data import fingerprint
from llmtl.errors import ContextLengthError
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.budget import Plan
from llmtl.pipeline.evaluate import Subject, evaluate
from llmtl.pipeline.models import identity
from llmtl.pipeline.prepare import Prepared
from llmtl.pipeline.run_format import EVALUATION
from llmtl.progress import Progress
from llmtl.store import Store
from llmtl.strategies.table import HOSTED
from llmtl.strategy import Budget, FitContext, Prediction, Predictor, Role, Strategy
from llmtl.task import Example, Split


@dataclass(frozen=True)
class Scored:
    """Predictions made before, on which examples, and the seconds that they took."""

    examples: tuple[Example, ...]
    predictions: tuple[Prediction, ...]
    seconds: float


def hosted_usd(fitted: Mapping[str, Any]) -> float:
    """Return what a hosted model charged while a strategy was fitted, USD; 0 for models that run here."""
    return float((fitted.get("details", {}).get("hosted") or {}).get("spent_usd") or 0.0)


@dataclass(frozen=True)
class Bench:
    """Measures strategies of one run: `split` is already cut to what the budget allows."""

    prepared: Prepared
    split: Split
    plan: Plan | None
    store: Store
    progress: Progress

    def fit(self, strategy: Strategy) -> Mapping[str, Any]:
        """Return the step's result: `train_seconds`, `device`, `state` and `details`, or `skipped` with the reason."""
        depends_on = self._fit_depends_on(strategy)
        if not self.store.has(f"fit-{strategy.name}", depends_on):
            self.progress.say(f"Fitting {strategy.name}")
        result: Mapping[str, Any] = self.store.step(
            f"fit-{strategy.name}", depends_on, lambda folder: self._fit(strategy, folder)
        )
        return result

    def _fit(self, strategy: Strategy, folder: Path) -> dict[str, Any]:
        start = time.perf_counter()
        try:
            predictor = strategy.fit(self._context(strategy, folder))
        except ContextLengthError as error:
            return {"skipped": str(error), **self._took(strategy, start)}
        return {"state": predictor.state(), "details": predictor.details(), **self._took(strategy, start)}

    def _took(self, strategy: Strategy, start: float) -> dict[str, Any]:
        return {"train_seconds": time.perf_counter() - start, "device": self._device(strategy)}

    def predictor(self, strategy: Strategy) -> Predictor:
        """Return the fitted strategy."""
        return self._predictor(strategy, self.fit(strategy)["state"])

    def evaluate(self, strategy: Strategy, split: str, *, scored: Scored | None = None) -> tuple[Evaluation, Path]:
        """Return the evaluation on `dev` or `test`, or of what was scored before, and the step's folder."""
        examples = scored.examples if scored else self._examples(split)
        name = f"{split}-{strategy.name}"
        depends_on = {
            "fit": self._fit_depends_on(strategy),
            "examples": fingerprint(examples),
            "prices": self.prepared.recipe.prices.model_dump(mode="json"),
        }
        value = self.store.step(name, depends_on, lambda folder: self._evaluate(strategy, split, scored))
        return EVALUATION.validate_python(value), self.store.step_folder(name, depends_on)

    def _evaluate(self, strategy: Strategy, split: str, scored: Scored | None) -> Any:
        fitted = self.fit(strategy)
        subject = Subject(
            strategy=strategy.name,
            role=strategy.role,
            predictor=self._predictor(strategy, fitted["state"]),
            device=fitted["device"],
            train_seconds=fitted["train_seconds"],
            train_device=fitted["device"],
            hosted_usd=hosted_usd(fitted),
        )
        evaluation = evaluate(
            subject,
            self.prepared.task,
            scored.examples if scored else self._examples(split),
            split=split,
            prices=self.prepared.recipe.prices,
            progress=self.progress,
            scored=(scored.predictions, scored.seconds) if scored else None,
        )
        return EVALUATION.dump_python(evaluation, mode="json")

    def _predictor(self, strategy: Strategy, state: Mapping[str, Any]) -> Predictor:
        return strategy.restore(self._context(strategy, self.fit_folder(strategy)), state)

    def fit_folder(self, strategy: Strategy) -> Path:
        """Return the folder that keeps what fitting wrote."""
        return self.store.step_folder(f"fit-{strategy.name}", self._fit_depends_on(strategy))

    def _examples(self, split: str) -> tuple[Example, ...]:
        return self.split.dev if split == "dev" else self.split.test

    def _device(self, strategy: Strategy) -> str:
        if strategy.name in HOSTED:
            return "hosted"
        return "cpu" if strategy.role is Role.BASELINE else self.prepared.engines.load().device

    def _context(self, strategy: Strategy, folder: Path) -> FitContext:
        seconds = self.plan.fit_seconds(strategy.name) if self.plan else None
        return FitContext(
            task=self.prepared.task,
            train=self.split.train,
            dev=self.split.dev,
            model=self.prepared.source,
            load_engine=self.prepared.engines.load,
            release_engines=self.prepared.engines.release,
            folder=folder,
            seed=self.prepared.recipe.seed,
            budget=Budget(train_seconds=seconds),
            prices=self.prepared.recipe.prices,
            progress=self.progress,
        )

    def _fit_depends_on(self, strategy: Strategy) -> dict[str, Any]:
        recipe = self.prepared.recipe
        section = strategy.name.replace("-", "_")
        uses_model = strategy.role is not Role.BASELINE and strategy.name not in HOSTED
        return {
            "llmtl": __version__,
            "strategy": strategy.name,
            "settings": recipe.strategies.model_dump(mode="json").get(section),
            "task": asdict(replace(self.prepared.task, target=None)),
            "train": fingerprint(self.split.train),
            "dev": fingerprint(self.split.dev),
            "model": identity(recipe.model, self.prepared.source) if uses_model else None,
            "budget": self.plan.fit_seconds(strategy.name) if self.plan else None,
            "seed": recipe.seed,
        }
