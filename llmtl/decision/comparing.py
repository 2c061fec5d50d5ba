"""Two evaluations of the same examples against each other, in any metric.

    right or wrong (accuracy, exact match)   exact McNemar test, Tango's score interval
    anything else, groups or several seeds   approximate randomisation, Bayesian bootstrap (`llmtl.metrics.summed`)

Where a draw matters and one of the two has one draw alone, the result is widened (`llmtl.metrics.between_draws`).

Not covered: which comparisons are made (`choice`), correcting for their number (`evidence`, `simultaneous`).
"""

import math
from dataclasses import replace

from llmtl.decision.config import DecisionConfig
from llmtl.decision.one_draw import sd_of_one_draw
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import Measure
from llmtl.metrics.between_draws import widen, widen_score
from llmtl.metrics.paired import PairedDifference, compare_counts
from llmtl.metrics.summed import Counts, clustered, compare_sums, counts_of, interval_of
from llmtl.task import RIGHT_OR_WRONG, Metric


def compare_evaluations(
    a: Evaluation, b: Evaluation, metric: Metric, config: DecisionConfig, *, comparisons: int = 1
) -> PairedDifference:
    """Compare two evaluations of the same examples, as one of so many comparisons, for further draws too."""
    alpha = config.alpha / comparisons
    spread = math.hypot(*(sd_of_one_draw(item, metric) for item in (a, b)))
    return widen(_compared(a, b, metric, config, alpha=alpha), spread, alpha=alpha)


def _compared(
    a: Evaluation, b: Evaluation, metric: Metric, config: DecisionConfig, *, alpha: float
) -> PairedDifference:
    """Return how the draws that were measured compare."""
    measure = a.measure(metric)
    first_scores, second_scores = (measure.each(answers_of(item)[0]) for item in (a, b))
    wins = int((first_scores > second_scores).sum()), int((second_scores > first_scores).sum())
    if metric in RIGHT_OR_WRONG and not (a.seed_predictions or b.seed_predictions or clustered(a.groups)):
        return compare_counts(*wins, a.n, alpha=alpha)
    return compare_sums(
        measure.value,
        _counts(a, measure),
        _counts(b, measure),
        wins=wins,
        resamples=config.resamples,
        seed=config.seed,
        alpha=alpha,
    )


def over_seeds(evaluation: Evaluation, metric: Metric, config: DecisionConfig) -> Evaluation:
    """Make the evaluation's score the mean of all draws, with an interval for further ones."""
    if evaluation.seed_predictions:
        measure = evaluation.measure(metric)
        score = interval_of(measure.value, _counts(evaluation, measure), seed=config.seed)
    elif spread := sd_of_one_draw(evaluation, metric):
        score = widen_score(evaluation.scores[metric.value], spread)
    else:
        return evaluation
    return replace(evaluation, scores={**evaluation.scores, metric.value: score})


def answers_of(evaluation: Evaluation) -> list[list[str | None]]:
    """List the answers of each seed; those of the first are the evaluation's own."""
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    return [[prediction.answer for prediction in predictions] for predictions in runs]


def _counts(evaluation: Evaluation, measure: Measure) -> Counts:
    return counts_of(measure, evaluation.references, answers_of(evaluation), groups=evaluation.groups)
