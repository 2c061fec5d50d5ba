"""Scores, intervals, paired tests, calibration and power: arrays in, numbers out.

    counting.py             what every metric is made of: counts of each example, right or wrong, F1 over items
    sets.py                 what is counted of labels, spans.py of typed spans, text.py of generated text
    rankings.py             what is counted of rankings
    measures.py             every metric of every kind of task on given references
    scores.py               all metrics of a task, each with a 95% interval
    modules.py              the same metrics as `evaluate.Metric` classes that need no hub; public, slow to import
    intervals.py            Wilson for a proportion, Tango for a paired difference of proportions
    paired.py               the exact McNemar test of two strategies on the same examples; Holm
    summed.py               intervals and comparisons in any metric, examples in groups and training seeds included
    items.py                the interval of a share of items, such as micro-F1
    hierarchical.py         the resampling behind those
    joint_posterior.py      the error rates of several strategies on the same examples, drawn together
    shrinkage.py            how far differences between strategies may be chance
    between_draws.py        what one draw of a training or of demonstrations leaves open
    confidence_sequence.py  a comparison while examples still come in
    optimism.py             by how much the dev score of a chosen strategy flatters it
    power.py                what a test can find, and how many examples it takes
    predictive.py           the chance that further examples settle a difference
    selective.py            how much can be left to answers that are sure enough
    calibration.py          expected calibration error
    recalibration.py        probabilities corrected for a model's leaning to some labels

Not covered: deciding anything (`llmtl.decision`).
"""

from llmtl.metrics.counting import Measure
from llmtl.metrics.measures import LABEL_SETS, ONE_LABEL, RANKINGS, SPANS, TEXTS, Family
from llmtl.metrics.scores import accuracy, macro_f1, score

__all__ = [
    "LABEL_SETS",
    "ONE_LABEL",
    "RANKINGS",
    "SPANS",
    "TEXTS",
    "Family",
    "Measure",
    "accuracy",
    "macro_f1",
    "score",
]
