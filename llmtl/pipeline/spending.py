"""What making the decision of a run took, from what its steps kept: nothing is measured again.

Strategies are fitted once for all; a step that an earlier, interrupted command finished counts too, and every reply
that a provider was paid for counts once. Not covered: what an interrupted command computed of a step it did not finish.
"""

from collections.abc import Iterable, Sequence

from llmtl.costs import UNKNOWN, Pricing, Spending, Spent
from llmtl.decision.sensitivity import NoiseSensitivity
from llmtl.findings import SearchTrace, finding
from llmtl.judging.result import Judging
from llmtl.learning_curve.conclusion import LearningCurves
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.curve import at_size, sizes_of
from llmtl.pipeline.measure import Bench
from llmtl.pipeline.training_seeds import further_fits
from llmtl.strategy import AnyStrategy


def spending_of(
    bench: Bench,
    *,
    dev: Sequence[Evaluation],
    test: Sequence[Evaluation],
    curves: LearningCurves | None,
    noise: NoiseSensitivity,
    judging: Judging | None,
) -> Spending:
    """Return what a run took; `dev` has the evaluations of those that left the race, too."""
    strategies = {strategy.name: strategy for strategy in bench.prepared.strategies}
    pricing = Pricing(bench.prepared.recipe.prices)
    further = [fit for item in test for fit in further_fits(bench, strategies[item.strategy], item)]
    return Spending(
        fitting=total(spent_fitting(bench.fit(strategy), pricing) for strategy in strategies.values()),
        training_seeds=total(
            [*(spent_fitting(fit, pricing) for fit in further), *(_further_scores(item, pricing) for item in test)]
        ),
        dev=total(_dev(item, bench.fit(strategies[item.strategy]), pricing) for item in dev),
        test=total(spent_scoring(item, pricing) for item in test),
        learning_curves=total(
            _point(at_size(bench, strategies[forecast.strategy], size), strategies[forecast.strategy])
            for forecast in (curves.forecasts if curves else ())
            for size in sizes_of(bench)[:-1]  # the last one is the run's own
        ),
        refits=noise.refits,
        judge=_judge(judging),
    )


def total(parts: Iterable[Spent]) -> Spent:
    """Return everything together, unknown where a part is."""
    return sum(parts, start=Spent())


def spent_fitting(fitted: FitRecord, pricing: Pricing) -> Spent:
    """Return what one fit took, one that found out that the strategy cannot run included."""
    if fitted.train_seconds is None:
        return UNKNOWN
    return Spent(fitted.train_seconds, fitted.usd(pricing.prices))


def spent_scoring(evaluation: Evaluation, pricing: Pricing) -> Spent:
    """Return what scoring its examples took, once."""
    seconds = sum(prediction.seconds for prediction in evaluation.predictions)
    return _scores(evaluation, seconds, evaluation.n, pricing)


def _scores(evaluation: Evaluation, seconds: float, answers: int, pricing: Pricing) -> Spent:
    """Return what that many answers took at the evaluation's price of one."""
    each = pricing.per_1k(evaluation)
    return Spent(seconds, None if each is None else each * answers / 1000)


def _dev(evaluation: Evaluation, fitted: FitRecord, pricing: Pricing) -> Spent:
    """Return what scoring dev took; a hosted model's replies to what fitting asked were kept and cost nothing again."""
    whole = spent_scoring(evaluation, pricing)
    if evaluation.device != "hosted" or whole.seconds is None or whole.usd is None:
        return whole
    trace = finding(fitted.findings, SearchTrace)
    fresh = max(0.0, 1 - (trace.dev_examples if trace else 0) / evaluation.n)
    return Spent(fresh * whole.seconds, fresh * whole.usd)


def _further_scores(evaluation: Evaluation, pricing: Pricing) -> Spent:
    """Return what scoring the answers of further training seeds took, at the price of the first one's."""
    answers = [prediction for run in evaluation.seed_predictions for prediction in run]
    return _scores(evaluation, sum(prediction.seconds for prediction in answers), len(answers), pricing)


def _point(bench: Bench, strategy: AnyStrategy) -> Spent:
    """Return what one point of a learning curve took."""
    fitted = bench.fit(strategy)
    pricing = Pricing(bench.prepared.recipe.prices)
    fitting = spent_fitting(fitted, pricing)
    if fitted.skipped is not None:
        return fitting
    return fitting + _dev(bench.evaluate(strategy, "dev")[0], fitted, pricing)


def _judge(judging: Judging | None) -> Spent:
    """Return what a judge's replies took, those before it failed included."""
    paid = judging.spent if judging else None
    return Spent() if paid is None else Spent(paid.seconds, paid.usd)
