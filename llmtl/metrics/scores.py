"""Accuracy and macro-F1 of predicted labels, where a failed prediction (None) is an error.

Not covered: scores of probabilities (`calibration`), comparing two strategies (`paired`).
"""

from collections.abc import Collection, Sequence

import numpy as np

from llmtl.errors import DataError
from llmtl.metrics.intervals import Interval, wilson
from llmtl.metrics.resampling import Patterns, macro_f1_interval, patterns

Labels = Sequence[str | None]
"""One predicted label an example; None records a failure."""

INTERVAL_RESAMPLES = 2000
"""Efron & Tibshirani (1993), "An Introduction to the Bootstrap", section 14: 1000 to 2000 for percentile intervals."""


def accuracy(references: Sequence[str], predictions: Labels) -> float:
    """Return the share of examples given their reference; failures count as errors. Raises `DataError`."""
    check_aligned(references, predictions)
    return float(np.mean([guess == truth for truth, guess in zip(references, predictions, strict=True)]))


def macro_f1(references: Sequence[str], predictions: Labels) -> float:
    """Return the unweighted mean F1 over the labels that occur among the references or the predictions.

    This is scikit-learn's `f1_score(average="macro")` with its default labels; a task's label that occurs in neither is
    left out, since its F1 is not defined. A failed prediction is a miss for its reference's label and no false positive
    for any other. Raises `DataError` for no examples or unequal lengths.
    """
    return float(_patterns(references, predictions).observed()[0])


def score(
    references: Sequence[str],
    predictions: Labels,
    *,
    labels: Collection[str] | None = None,
    resamples: int = INTERVAL_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return `accuracy` with its Wilson interval and `macro_f1` with its Bayesian-bootstrap interval, both 95%.

    With `labels`, a prediction that is none of them counts as a failure and a reference that is none of them raises
    `DataError`, as do unequal lengths and no examples.
    """
    if labels is not None:
        unknown = sorted(set(references) - set(labels))
        if unknown:
            raise DataError(f"The reference '{unknown[0]}' is none of the task's labels; add it to the labels.")
        predictions = [guess if guess in labels else None for guess in predictions]
    counted = _patterns(references, predictions)
    right = sum(guess == truth for truth, guess in zip(references, predictions, strict=True))
    return {
        "accuracy": wilson(right, len(references)),
        "macro_f1": macro_f1_interval(counted, resamples=resamples, seed=seed),
    }


def check_aligned(references: Sequence[str], predictions: Labels) -> None:
    """Raise `DataError` unless there is one prediction a reference and at least one."""
    if not references:
        raise DataError("There is nothing to score; give at least one example.")
    if len(references) != len(predictions):
        raise DataError(
            f"There are {len(predictions)} predictions for {len(references)} references; give one for each."
        )


def _patterns(references: Sequence[str], predictions: Labels) -> Patterns:
    check_aligned(references, predictions)
    return patterns(references, predictions)
