"""Asking strategies about inputs that have no right answer, each as a step of the store.

Not asked are strategies that do not say how sure they are, models at a provider, which would be paid for every answer,
and cascades. Not covered: what follows from the answers (`llmtl.decision.automation`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from llmtl.data import fingerprint
from llmtl.decision.outcome import Choice
from llmtl.decision.promise import Promise
from llmtl.pipeline.measure import Bench
from llmtl.strategy import AnyStrategy, Prediction, Runs

_PREDICTIONS = TypeAdapter(tuple[Prediction, ...])


def score_unknown(bench: Bench, strategies: Sequence[AnyStrategy], choice: Choice) -> dict[str, tuple[Prediction, ...]]:
    """Ask every strategy about the recipe's unknown inputs, by name; empty where the recipe has none."""
    if not bench.prepared.unknown:
        return {}
    silent = {item.strategy for item in choice.ladders if item.why_none in (Promise.NO_CONFIDENCE, Promise.BY_DEGREES)}
    asked = [item for item in strategies if item.facts.runs is not Runs.PROVIDER and item.name not in silent]
    return {strategy.name: _predictions(bench, strategy) for strategy in asked}


def _predictions(bench: Bench, strategy: AnyStrategy) -> tuple[Prediction, ...]:
    examples = bench.prepared.unknown
    depends_on = {"fit": bench.fit_folder(strategy).name, "examples": fingerprint(examples)}

    def compute(_: Path) -> Any:
        with bench.progress.stage(f"Unknown inputs by {strategy.name}", len(examples)) as advance:
            made = bench.predictor(strategy).predict([example.input for example in examples], advance=advance)
        return _PREDICTIONS.dump_python(tuple(made), mode="json")

    return _PREDICTIONS.validate_python(bench.store.step(f"unknown-{strategy.name}", depends_on, compute))
