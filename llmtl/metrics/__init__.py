"""Scores, intervals, paired tests, calibration and power: arrays in, numbers out.

    scores.py        accuracy and macro-F1, each with a 95% interval
    modules.py       the same two as `evaluate.Metric` classes that need no hub
    intervals.py     Wilson for a proportion, Tango for a paired difference of proportions
    resampling.py    Bayesian bootstrap and approximate randomisation of macro-F1
    paired.py        one strategy against another on the same examples
    multiplicity.py  Holm
    power.py         what a test can find, and how many examples it takes
    calibration.py   expected calibration error, Brier score, negative log-likelihood

Not covered: metrics of extraction and generation tasks; deciding anything (`llmtl.decision`).
"""

from llmtl.metrics.scores import accuracy, macro_f1, score

__all__ = ["accuracy", "macro_f1", "score"]
