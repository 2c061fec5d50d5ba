"""Test a tuned model with a quarter of train against its control with all of it: is pre-training worth labels?

Test is open by then, and nothing that was decided rests on this. The fit of a learning curve is taken where there is
one of about that size. Not covered: how many times the labels pre-training is worth (`llmtl.learning_curve`).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.outcome import Decision
from llmtl.decision.transfer import Transfer, fewer_labels, with_labels
from llmtl.learning_curve import LearningCurves
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.curve import at_size, sizes_of
from llmtl.pipeline.measure import Bench

SHARE = 0.25
NEAR = math.sqrt(2)
"""The factor by which a size of a learning curve may differ from a quarter: those sizes double at most."""
PER_LABEL = 2
"""Fewest examples per label on which a model is tuned for this, as in learning curves."""
BUDGET_SHARE = 0.05
"""The part of the run's time budget that this may take."""


def with_transfer(
    bench: Bench, decision: Decision, curves: LearningCurves | None, test: Sequence[Evaluation]
) -> Decision:
    """Add to each comparison with a control how many labels it is worth, and the same one with a quarter of train.

    The second only as far as there is time.
    """
    if not decision.transfer:
        return decision
    decision = replace(decision, transfer=with_labels(decision.transfer, curves.worth if curves else ()))
    left = bench.seconds_for("transfer", BUDGET_SHARE)
    found = []
    for item in decision.transfer:
        made, took = _compared(bench, item, {each.strategy: each for each in test}, left)
        left = None if left is None else left - took
        found.append(made)
    return replace(decision, transfer=tuple(found))


def _compared(bench: Bench, item: Transfer, test: dict[str, Evaluation], left: float | None) -> tuple[Transfer, float]:
    """Make one comparison, and say how many seconds it was foreseen to take; none where there is no time for it."""
    strategy = next((each for each in bench.prepared.strategies if each.name == item.strategy), None)
    size, available = _size(bench), len(bench.split.train)
    if strategy is None or size is None:
        return item, 0.0
    smaller = at_size(bench, strategy, size)
    scoring = sum(prediction.seconds for prediction in test[item.strategy].predictions)
    fitted = smaller.was_fitted(strategy)
    takes = scoring + (0.0 if fitted else size / available * (bench.fit(strategy).train_seconds or 0.0))
    if left is not None and takes > left:
        bench.progress.say(
            f"{item.strategy} with a quarter of train is not tested against {item.control}: that would take about "
            f"{takes:.0f} seconds, and {left:.0f} are left for it; raise --budget-minutes."
        )
        return item, 0.0
    if smaller.fit(strategy).skipped is not None:
        return item, 0.0
    metric, config = bench.prepared.task.metric, bench.prepared.recipe.decision
    difference = compare_evaluations(smaller.evaluate(strategy, "test")[0], test[item.control], metric, config)
    fewer = fewer_labels(difference, examples=size, available=available, alpha=config.alpha, margin=config.margin)
    return replace(item, fewer=fewer), takes


def _size(bench: Bench) -> int | None:
    """Choose the size of a learning curve that is about a quarter of train, else a quarter; None where that is few."""
    available = len(bench.split.train)
    quarter = SHARE * available
    near = [size for size in sizes_of(bench) if quarter / NEAR <= size <= quarter * NEAR]
    size = min(near, key=lambda each: abs(math.log(each / quarter)), default=round(quarter))
    return size if size >= max(1, PER_LABEL * len(bench.prepared.task.labels)) else None
