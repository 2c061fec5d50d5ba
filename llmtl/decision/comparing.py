"""Two evaluations of the same examples against each other, in any metric.

    right or wrong (accuracy, exact match)   exact McNemar test, Tango's score interval
    anything else, groups or several seeds   approximate randomisation, Bayesian bootstrap (`llmtl.metrics.summed`)

Not covered: which comparisons are made (`choice`), correcting for their number (`evidence`, `simultaneous`).
"""

from dataclasses import replace

from llmtl.decision.config import DecisionConfig
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import Measure
from llmtl.metrics.paired import PairedDifference, compare_counts
from llmtl.metrics.summed import Counts, clustered, compare_sums, counts_of, interval_of
from llmtl.task import RIGHT_OR_WRONG, Metric


def compare_evaluations(
    a: Evaluation, b: Evaluation, metric: Metric, config: DecisionConfig, *, comparisons: int = 1
) -> PairedDifference:
    """Return how two evaluations of the same examples compare, as one of so many comparisons."""
    alpha = config.alpha / comparisons
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
    """Return the evaluation with its score the mean of all training seeds, and an interval for further ones."""
    if not evaluation.seed_predictions:
        return evaluation
    measure = evaluation.measure(metric)
    score = interval_of(measure.value, _counts(evaluation, measure), seed=config.seed)
    return replace(evaluation, scores={**evaluation.scores, metric.value: score})


def answers_of(evaluation: Evaluation) -> list[list[str | None]]:
    """Return the answers of each seed; those of the first are the evaluation's own."""
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    return [[prediction.answer for prediction in predictions] for predictions in runs]


def _counts(evaluation: Evaluation, measure: Measure) -> Counts:
    return counts_of(measure, evaluation.references, answers_of(evaluation), groups=evaluation.groups)
