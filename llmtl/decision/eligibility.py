"""Which strategies may be chosen at all: the constraints of the recipe.

Not covered: which eligible strategy is best (`choice`); `private`, since who would send inputs away is not measured at
all (`llmtl.strategies.table`).
"""

import math
from collections.abc import Iterable, Sequence

from llmtl.costs import PriceConfig, Pricing
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.config import DecisionConfig
from llmtl.decision.forgotten import may_have_forgotten, rise_of
from llmtl.errors import RecipeError, RunError
from llmtl.measured.evaluation import Evaluation

_NUMBERS = (
    "seconds",
    "p50_ms",
    "p95_ms",
    "train_seconds",
    "peak_memory_gib",
)


def broken_by(evaluation: Evaluation, config: DecisionConfig, prices: PriceConfig) -> tuple[Broken, ...]:
    """List the constraints that a strategy breaks: it may be chosen when there are none.

    What was not measured keeps no limit.
    """
    limits = (
        (Constraint.USD_PER_1K, config.max_usd_per_1k, Pricing(prices).per_1k(evaluation)),
        (Constraint.P95_MS, config.max_p95_ms, evaluation.p95_ms),
        (Constraint.MEMORY_GIB, config.max_memory_gib, evaluation.peak_memory_gib),
        (Constraint.VRAM_GIB, config.max_vram_gib, evaluation.vram_gib),
        (Constraint.FORGETTING, config.max_forgetting if may_have_forgotten(evaluation) else None, rise_of(evaluation)),
    )
    return tuple(
        Broken(constraint, limit, value)
        for constraint, limit, value in limits
        if limit is not None and (value is None or value > limit)
    )


def barred(
    evaluations: Iterable[Evaluation], config: DecisionConfig, prices: PriceConfig
) -> dict[str, tuple[Broken, ...]]:
    """List the strategies that may not be chosen with what they break; raises `RecipeError` when none may."""
    broken = {item.strategy: broken_by(item, config, prices) for item in evaluations}
    if all(broken.values()):
        listed = "; ".join(f"{name}: {', '.join(map(_told, items))}" for name, items in broken.items())
        raise RecipeError(f"No strategy meets the constraints ({listed}); relax one of them.")
    return {name: items for name, items in broken.items() if items}


def _told(broken: Broken) -> str:
    value = "unknown" if broken.value is None else f"{broken.value:.3g}"
    return f"{value} where decision.{broken.constraint} is {broken.limit:g}"


def check_disjoint(dev: Sequence[Evaluation], test: Sequence[Evaluation]) -> None:
    """Raise `RunError` when an example is in both dev and test, since the choice has then seen part of test."""
    shared = {item.id for item in dev[0].predictions} & {item.id for item in test[0].predictions}
    if shared:
        raise RunError(f"Example '{min(shared)}' is in dev and in test; split the data again.")


def check(evaluations: Sequence[Evaluation], *, split: str) -> None:
    """Raise `RunError` unless the evaluations can be compared: distinct, finite, of the same examples in one order."""
    if not evaluations:
        raise RunError(f"There are no evaluations on {split}; run at least one strategy.")
    names = [item.strategy for item in evaluations]
    if len(set(names)) < len(names):
        raise RunError(f"A strategy is evaluated twice on {split}; give each strategy its own name.")
    ids = [prediction.id for prediction in evaluations[0].predictions]
    for item in evaluations:
        if [prediction.id for prediction in item.predictions] != ids or item.references != evaluations[0].references:
            raise RunError(
                f"'{item.strategy}' and '{names[0]}' were evaluated on different {split} examples; evaluate both again."
            )
        for name in _NUMBERS:
            if not math.isfinite(getattr(item, name) or 0.0):
                raise RunError(f"The {name} of '{item.strategy}' on {split} is not a number; measure it again.")
