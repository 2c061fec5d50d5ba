"""Which strategies may be chosen at all: the constraints of the recipe.

Not covered: which eligible strategy is best (`choice`); `private`, since who would send inputs away is not measured at
all (`llmtl.strategies.table`).
"""

import math
from collections.abc import Iterable, Sequence

from llmtl.decision.config import DecisionConfig
from llmtl.errors import RecipeError, RunError
from llmtl.measured.evaluation import Evaluation

_NUMBERS = (
    "usd_per_1k_requests",
    "p50_ms",
    "p95_ms",
    "train_seconds",
    "train_gpu_hours",
    "train_usd",
    "peak_memory_gib",
)
_UNKNOWN = {
    "max_usd_per_1k": "cost",
    "max_p95_ms": "latency",
    "max_memory_gib": "memory",
    "max_vram_gib": "GPU memory",
}


def why_not(evaluation: Evaluation, config: DecisionConfig) -> str | None:
    """Return why a strategy may not be chosen, every broken constraint named, or None when it may.

    What nobody measured keeps no limit: the strategy may not be chosen.
    """
    broken = []
    on_gpu = evaluation.device == "cuda" or evaluation.peak_memory_gib is None
    vram_gib = evaluation.peak_memory_gib if on_gpu else 0.0
    for limit, value, name, unit in (
        (config.max_usd_per_1k, evaluation.usd_per_1k_requests, "max_usd_per_1k", "USD per 1,000 requests"),
        (config.max_p95_ms, evaluation.p95_ms, "max_p95_ms", "ms at the 95th percentile"),
        (config.max_memory_gib, evaluation.peak_memory_gib, "max_memory_gib", "GiB of memory"),
        (config.max_vram_gib, vram_gib, "max_vram_gib", "GiB of GPU memory"),
    ):
        if limit is None:
            continue
        if value is None:
            broken.append(f"its {_UNKNOWN[name]} is not known, and decision.{name} is {limit:g}")
        elif value > limit:
            broken.append(f"it takes {value:.3g} {unit}, and decision.{name} is {limit:g}")
    return "; ".join(broken) or None


def ineligible(evaluations: Iterable[Evaluation], config: DecisionConfig) -> dict[str, str]:
    """Return the strategies that may not be chosen with the reason; raises `RecipeError` when none may."""
    reasons = {item.strategy: why_not(item, config) for item in evaluations}
    broken = {name: reason for name, reason in reasons.items() if reason is not None}
    if len(broken) == len(reasons):
        listed = "; ".join(f"{name}: {reason}" for name, reason in broken.items())
        raise RecipeError(f"No strategy meets the constraints ({listed}); relax one of them.")
    return broken


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
