"""Two evaluations of the same examples against each other, in any metric.

    right or wrong (accuracy, exact match)   exact McNemar test, Tango's score interval
    macro-F1 of classification               approximate randomisation, paired Bayesian bootstrap over label patterns
    anything else, groups or several seeds   the same on summed counts, over groups and seeds (`llmtl.metrics.summed`)

Not covered: which comparisons are made (`choice`), correcting for their number (`evidence`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from llmtl.decision.config import DecisionConfig
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.measures import Measure
from llmtl.metrics.paired import PairedDifference, compare, compare_counts
from llmtl.metrics.summed import Counts, compare_sums, interval_of
from llmtl.task import Metric, TaskKind

RIGHT_OR_WRONG = (Metric.ACCURACY, Metric.EXACT_MATCH)


def compare_evaluations(a: Evaluation, b: Evaluation, metric: Metric, config: DecisionConfig) -> PairedDifference:
    """Return how two evaluations of the same examples compare."""
    simple = not (a.seed_predictions or b.seed_predictions or clustered(a))
    if simple and metric is Metric.MACRO_F1 and a.kind is TaskKind.CLASSIFICATION:
        first, second = (_known(answers_of(item)[0], a.labels) for item in (a, b))
        return compare(a.references, first, second, metric=metric, resamples=config.resamples, seed=config.seed)
    measure = a.measure(metric)
    first_scores, second_scores = (measure.each(answers_of(item)[0]) for item in (a, b))
    wins = int((first_scores > second_scores).sum()), int((second_scores > first_scores).sum())
    if simple and metric in RIGHT_OR_WRONG:
        return compare_counts(*wins, a.n)
    return compare_sums(
        measure.value,
        counts_of(a, measure),
        counts_of(b, measure),
        wins=wins,
        resamples=config.resamples,
        seed=config.seed,
    )


def over_seeds(evaluation: Evaluation, metric: Metric, config: DecisionConfig) -> Evaluation:
    """Return the evaluation with its score the mean of all training seeds, and an interval for further ones."""
    if not evaluation.seed_predictions:
        return evaluation
    measure = evaluation.measure(metric)
    score = interval_of(measure.value, counts_of(evaluation, measure), seed=config.seed)
    return replace(evaluation, scores={**evaluation.scores, metric.value: score})


def answers_of(evaluation: Evaluation) -> list[list[str | None]]:
    """Return the answers of each seed; those of the first are the evaluation's own."""
    runs = (evaluation.predictions, *evaluation.seed_predictions)
    return [[prediction.answer for prediction in predictions] for predictions in runs]


def counts_of(evaluation: Evaluation, measure: Measure) -> Counts:
    """Return the counts of every seed's answers."""
    references: Sequence[str] = evaluation.references
    perfect = measure.counts(references).mean(axis=0)
    return Counts(
        each=np.stack([measure.counts(answers) for answers in answers_of(evaluation)]),
        perfect=perfect,
        wrong=measure.without_hits(perfect),
        rests_on=measure.rests_on,
        groups=evaluation.groups,
    )


def _known(answers: Sequence[str | None], labels: Sequence[str]) -> list[str | None]:
    """Return the answers with None for those that are none of the labels, as in the scores of each."""
    return [answer if not labels or answer in labels else None for answer in answers]


def clustered(evaluation: Evaluation) -> bool:
    """Return whether any two examples come from one group."""
    named = [group for group in evaluation.groups if group is not None]
    return len(set(named)) < len(named)
