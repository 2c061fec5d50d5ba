"""What making the decision of a run took, from what its steps kept: nothing is measured again.

Strategies are fitted once for all; a step that an earlier, interrupted command finished counts too. Not covered: what
that command lost; a hosted model's fees of a fit that was interrupted before it ended.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmtl.costs import Spending, Spent, usd_for_seconds
from llmtl.evaluation import Evaluation
from llmtl.learning_curve.result import LearningCurves
from llmtl.pipeline.curve import at_size
from llmtl.pipeline.measure import Bench, hosted_usd
from llmtl.pipeline.training_seeds import further_fits
from llmtl.predictor import Strategy


def spending_of(
    bench: Bench, *, dev: Sequence[Evaluation], test: Sequence[Evaluation], curves: LearningCurves | None
) -> Spending:
    """Return what a run took; `dev` has the evaluations of those that left the race, too."""
    strategies = {strategy.name: strategy for strategy in bench.prepared.strategies}
    further = [fit for item in test for fit in further_fits(bench, strategies[item.strategy], item)]
    return Spending(
        fitting=_sum(_fit(bench.fit(strategies[item.strategy]), bench) for item in dev),
        training_seeds=_sum([*(_fit(fit, bench) for fit in further), *(_further_scores(item) for item in test)]),
        dev=_sum(_dev(item, bench.fit(strategies[item.strategy])) for item in dev),
        test=_sum(_scored(item) for item in test),
        learning_curves=_sum(
            _point(at_size(bench, strategies[forecast.strategy], point.size), strategies[forecast.strategy])
            for forecast in (curves.forecasts if curves else ())
            for point in forecast.points[:-1]  # the last one is the run's own
        ),
    )


def _sum(parts: Iterable[Spent]) -> Spent:
    return sum(parts, start=Spent())


def _fit(fitted: Mapping[str, Any], bench: Bench) -> Spent:
    """Return what one fit took."""
    seconds = float(fitted["train_seconds"])
    machine = usd_for_seconds(seconds, device=fitted["device"], prices=bench.prepared.recipe.prices)
    return Spent(seconds, machine + hosted_usd(fitted))


def _scored(evaluation: Evaluation) -> Spent:
    """Return what scoring its examples took, once."""
    seconds = sum(prediction.seconds for prediction in evaluation.predictions)
    return Spent(seconds, (evaluation.usd_per_1k_requests or 0.0) * evaluation.n / 1000)


def _dev(evaluation: Evaluation, fitted: Mapping[str, Any]) -> Spent:
    """Return what scoring dev took; a hosted model's replies to what fitting asked were kept and cost nothing again."""
    whole = _scored(evaluation)
    if evaluation.device != "hosted":
        return whole
    fresh = max(0.0, 1 - fitted["details"].get("dev_examples", 0) / evaluation.n)
    return Spent(fresh * whole.seconds, fresh * whole.usd)


def _further_scores(evaluation: Evaluation) -> Spent:
    """Return what scoring the answers of further training seeds took, at the price of the first one's."""
    answers = [prediction for run in evaluation.seed_predictions for prediction in run]
    seconds = sum(prediction.seconds for prediction in answers)
    return Spent(seconds, (evaluation.usd_per_1k_requests or 0.0) * len(answers) / 1000)


def _point(bench: Bench, strategy: Strategy) -> Spent:
    """Return what one point of a learning curve took."""
    return _fit(bench.fit(strategy), bench) + _scored(bench.evaluate(strategy, "dev")[0])
