"""Finalists fitted and tested again with other draws: training seeds, demonstrations, a provider's replies.

With several draws the verdict holds for another one too; what is served is the first. Another draw has another seed,
far enough from the first that no strategy's own draws of demonstrations occur in both, and keeps what the first fit
found that does not depend on it (`FitContext.earlier`). What a provider charges for it comes out of what the recipe's
limit leaves. Every fit and evaluation is a step of the store. Not covered: what several draws do to intervals and tests
(`llmtl.metrics.hierarchical`), and what is done without them (`llmtl.metrics.between_draws`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmtl.costs import Pricing, WorkKind
from llmtl.decision.config import DecisionConfig
from llmtl.engines.openai.config import EndpointConfig
from llmtl.errors import SpendLimitError
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.budget import DRAWS_IN_TIME
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.run_format import EVALUATION
from llmtl.strategy import AnyStrategy, Facts, Prediction, Runs
from llmtl.task import Draw

DRAWS = 3
"""How many draws of a finalist are measured by default; `budget.DRAWS_IN_TIME` within a time budget."""
DISTANCE = 1000
"""From the seed of one draw to the next: above the draws of demonstrations that a fit tries, each with its own seed."""
COSTS_MORE = 1.2
"""What a draw may cost at a provider, by what the first one did: replies differ in length."""


def number_of_draws(config: DecisionConfig, draw: Draw, default: int = DRAWS) -> int:
    """Say how many draws of a finalist are measured: as the recipe says, or else the default."""
    if draw is Draw.NONE:
        return 1
    return (config.training_seeds if draw is Draw.TRAINING else None) or config.draws or default


def draws_in_time(config: DecisionConfig) -> dict[str, int]:
    """Say how many draws of a finalist a time budget makes room for, by what a draw is."""
    return {draw.value: number_of_draws(config, draw, DRAWS_IN_TIME) for draw in Draw}


def evaluate_on_test(
    bench: Bench, strategy: AnyStrategy, finalists: Collection[str], dev: Mapping[str, Evaluation]
) -> tuple[Evaluation, Path]:
    """Evaluate on test, a finalist with its further draws; give the evaluation and its step's folder.

    `dev` has the evaluations on dev by strategy: at a provider they count against the recipe's limit.
    """
    measured = bench.evaluate(strategy, "test")
    default = bench.plan.draws if bench.plan else DRAWS
    number = number_of_draws(bench.prepared.recipe.decision, strategy.facts.draw, default)
    if strategy.name not in finalists or number == 1:
        return measured
    allowed = _allowed(bench, strategy, measured, number, dev.get(strategy.name))
    further = _further(bench, strategy, allowed)
    if not further:
        return measured
    depends_on = {"first": measured[1].name, "seeds": 1 + len(further)}
    name = f"test-seeds-{strategy.name}"

    def compute(_: Path) -> Any:
        return EVALUATION.dump_python(replace(measured[0], seed_predictions=further), mode="json")

    value = bench.store.step(name, depends_on, compute)
    return EVALUATION.validate_python(value), bench.store.step_folder(name, depends_on)


def _further(bench: Bench, strategy: AnyStrategy, allowed: "_Allowed") -> tuple[tuple[Prediction, ...], ...]:
    """Return the test predictions of further draws, as many as are allowed and can be made."""
    made: list[tuple[Prediction, ...]] = []
    for step in range(1, allowed.further + 1):
        bench.progress.say(f"{strategy.name}: draw {step + 1} of {allowed.further + 1}")
        drawn = _with_seed(bench, strategy.facts, step, allowed.usd_each)
        try:
            if drawn.fit(strategy).skipped is None:
                # outside of the step of all draws, so that the ledger has what the fits spent where that is kept, too
                made.append(drawn.evaluate(strategy, "test")[0].predictions)
        except SpendLimitError as error:
            bench.progress.say(f"{strategy.name}: no further draw ({error})")
            break
    return tuple(made)


def _with_seed(bench: Bench, facts: Facts, step: int, usd: float | None) -> Bench:
    """Return the same bench, on the same split, for another draw."""
    recipe = bench.prepared.recipe
    again = recipe.model_copy(update={"seed": (recipe.seed + DISTANCE * step) % 2**32})
    plan = bench.plan.scaled(facts.redraw) if bench.plan else None
    prepared = replace(bench.prepared, recipe=again)
    return replace(bench, prepared=prepared, plan=plan, work=WorkKind.TRAINING_SEEDS, first=bench, usd=usd)


@dataclass(frozen=True)
class _Allowed:
    """How many further draws are made, and the USD that each may cost at a provider; None for no limit."""

    further: int
    usd_each: float | None = None


def _allowed(
    bench: Bench, strategy: AnyStrategy, measured: tuple[Evaluation, Path], number: int, dev: Evaluation | None
) -> _Allowed:
    """Say what draws the recipe's spend limit leaves room for; kept, so that no change of price draws again."""
    config, wanted = strategy.config, number - 1
    if strategy.facts.runs is not Runs.PROVIDER or not isinstance(config, EndpointConfig) or config.max_usd is None:
        return _Allowed(wanted)
    most = config.max_usd

    def compute(_: Path) -> dict[str, Any]:
        pricing = Pricing(bench.prepared.recipe.prices)
        test, fitting = _usd(pricing, measured[0]), pricing.fitting(measured[0]) or 0.0
        left = max(0.0, most - fitting - test - (_usd(pricing, dev) if dev else 0.0))
        each = COSTS_MORE * (test + strategy.facts.redraw * fitting)
        further = min(wanted, int(left / each)) if each > 0 else wanted
        if further < wanted:
            bench.progress.say(
                f"{strategy.name}: {further} of {wanted} further draws fit into the spend limit; one costs about "
                f"{each:.4f} USD, and {left:.4f} are left"
            )
        return {"further": further, "usd_each": left / further if further else None}

    kept = bench.store.step(f"draws-{strategy.name}", {"first": measured[1].name, "wanted": wanted}, compute)
    return _Allowed(**kept)


def _usd(pricing: Pricing, evaluation: Evaluation) -> float:
    """Say what a provider was paid for the answers of an evaluation."""
    return (pricing.per_1k_at_full_use(evaluation) or 0.0) * evaluation.n / 1000
