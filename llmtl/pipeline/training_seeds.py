"""Tuned finalists trained again with further seeds, so that the verdict holds for another training run too.

Not covered: what several seeds do to intervals and tests (`llmtl.metrics.hierarchical`); the seed that is served is the
first.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from llmtl.decision import Choice
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.run_format import EVALUATION
from llmtl.strategy import AnyStrategy

SEEDS = 3


def evaluate_on_test(bench: Bench, strategy: AnyStrategy, choice: Choice) -> tuple[Evaluation, Path]:
    """Return the evaluation on test and its step's folder; a tuned finalist's with its further training seeds."""
    measured = bench.evaluate(strategy, "test")
    number = _seeds(bench)
    finalists = {name for planned in choice.comparisons for name in (planned.a, planned.b)}
    if not strategy.facts.retrain_with_seeds or strategy.name not in finalists or number == 1:
        return measured
    depends_on = {"first": measured[1].name, "seeds": number}
    name = f"test-seeds-{strategy.name}"

    def compute(_: Path) -> Any:
        further = [_with_seed(bench, step).evaluate(strategy, "test")[0].predictions for step in range(1, number)]
        return EVALUATION.dump_python(replace(measured[0], seed_predictions=tuple(further)), mode="json")

    value = bench.store.step(name, depends_on, compute)
    return EVALUATION.validate_python(value), bench.store.step_folder(name, depends_on)


def further_fits(bench: Bench, strategy: AnyStrategy, test: Evaluation) -> list[FitRecord]:
    """Return what training with each further seed of a test evaluation gave, as it is kept."""
    return [_with_seed(bench, step).fit(strategy) for step in range(1, 1 + len(test.seed_predictions))]


def _seeds(bench: Bench) -> int:
    """Return how often a finalist is trained: as the recipe says, or else 3 times, but once on a time budget."""
    return bench.prepared.recipe.decision.training_seeds or (SEEDS if bench.plan is None else 1)


def _with_seed(bench: Bench, step: int) -> Bench:
    """Return the same bench, on the same split, with another training seed."""
    recipe = bench.prepared.recipe
    again = recipe.model_copy(update={"seed": recipe.seed + step})
    return replace(bench, prepared=replace(bench.prepared, recipe=again))
