"""What making the decision of a run took, from what its steps kept: nothing is measured again.

Strategies are fitted once for all; a step that an earlier, interrupted command finished counts too, and every reply
that a provider was paid for counts once. Not covered: what an interrupted command computed of a step it did not finish.
"""

from collections.abc import Iterable, Sequence

from llmtl.costs import UNKNOWN, PriceConfig, Spending, Spent, usd_for_seconds
from llmtl.decision.sensitivity import NoiseSensitivity
from llmtl.findings import SearchTrace, finding
from llmtl.judging.result import Judging
from llmtl.learning_curve.result import LearningCurves
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
    prices = bench.prepared.recipe.prices
    further = [fit for item in test for fit in further_fits(bench, strategies[item.strategy], item)]
    return Spending(
        fitting=total(spent_fitting(bench.fit(strategy), prices) for strategy in strategies.values()),
        training_seeds=total([*(spent_fitting(fit, prices) for fit in further), *map(_further_scores, test)]),
        dev=total(_dev(item, bench.fit(strategies[item.strategy])) for item in dev),
        test=total(map(spent_scoring, test)),
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


def spent_fitting(fitted: FitRecord, prices: PriceConfig) -> Spent:
    """Return what one fit took, one that found out that the strategy cannot run included."""
    if fitted.train_seconds is None:
        return UNKNOWN
    usd = usd_for_seconds(fitted.train_seconds, device=fitted.device, prices=prices)
    return Spent(fitted.train_seconds, usd + fitted.paid_usd)


def spent_scoring(evaluation: Evaluation) -> Spent:
    """Return what scoring its examples took, once."""
    return _scores(evaluation, sum(prediction.seconds for prediction in evaluation.predictions), evaluation.n)


def _scores(evaluation: Evaluation, seconds: float, answers: int) -> Spent:
    """Return what that many answers took at the evaluation's price of one."""
    each = evaluation.usd_per_1k_requests
    return Spent(seconds, None if each is None else each * answers / 1000)


def _dev(evaluation: Evaluation, fitted: FitRecord) -> Spent:
    """Return what scoring dev took; a hosted model's replies to what fitting asked were kept and cost nothing again."""
    whole = spent_scoring(evaluation)
    if evaluation.device != "hosted" or whole.seconds is None or whole.usd is None:
        return whole
    trace = finding(fitted.findings, SearchTrace)
    fresh = max(0.0, 1 - (trace.dev_examples if trace else 0) / evaluation.n)
    return Spent(fresh * whole.seconds, fresh * whole.usd)


def _further_scores(evaluation: Evaluation) -> Spent:
    """Return what scoring the answers of further training seeds took, at the price of the first one's."""
    answers = [prediction for run in evaluation.seed_predictions for prediction in run]
    return _scores(evaluation, sum(prediction.seconds for prediction in answers), len(answers))


def _point(bench: Bench, strategy: AnyStrategy) -> Spent:
    """Return what one point of a learning curve took."""
    fitted = bench.fit(strategy)
    fitting = spent_fitting(fitted, bench.prepared.recipe.prices)
    return fitting if fitted.skipped is not None else fitting + _dev(bench.evaluate(strategy, "dev")[0], fitted)


def _judge(judging: Judging | None) -> Spent:
    """Return what a judge's replies took, those before it failed included."""
    paid = judging.spent if judging else None
    return Spent() if paid is None else Spent(paid.seconds, paid.usd)
