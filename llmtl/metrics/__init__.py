"""Scores, intervals, paired tests, calibration and power: arrays in, numbers out.

    measures.py             every metric of every kind of task as a function of summed counts
    labels.py               what it counts for labels, spans.py for typed spans, text.py for generated text
    f1.py                   F1 over items, exact.py right or wrong: what those are made of
    aligned.py              one answer a reference
    counted.py              the interval of any measure
    scores.py               all metrics of a task, each with a 95% interval
    modules.py              the metrics as `evaluate.Metric` classes that need no hub
    intervals.py            Wilson for a proportion, Tango for a paired difference of proportions
    resampling.py           Bayesian bootstrap and approximate randomisation of macro-F1
    summed.py               the same for any metric of summed counts
    hierarchical.py         resampling over clusters of examples and over training seeds
    paired.py               one strategy against another on the same examples
    confidence_sequence.py  the same while examples still come in
    multiplicity.py         Holm
    optimism.py             by how much the dev score of a chosen strategy flatters it
    power.py                what a test can find, and how many examples it takes
    calibration.py          expected calibration error, Brier score, negative log-likelihood
    recalibration.py        probabilities corrected for a model's leaning to some labels

Not covered: deciding anything (`llmtl.decision`).
"""

from llmtl.metrics.measures import Measure, measure_of
from llmtl.metrics.scores import accuracy, macro_f1, score

__all__ = ["Measure", "accuracy", "macro_f1", "measure_of", "score"]
