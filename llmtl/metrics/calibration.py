"""How far probabilities can be believed: expected calibration error, Brier score and negative log-likelihood.

All take one mapping from label to probability an example; an empty mapping (a failed prediction) counts as certainty
in nothing: probability 0 for every label. Not covered: recalibrating.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llmtl.errors import DataError

Probabilities = Sequence[Mapping[str, float]]

BINS = 15
"""Guo et al. (2017), "On Calibration of Modern Neural Networks", section 2 and its experiments."""
FLOOR = 1e-12
"""The smallest probability that the negative log-likelihood sees, so that one zero does not make it infinite."""


@dataclass(frozen=True)
class Calibration:
    """`ece` in 0..1, `brier` in 0..2, `nll` in nats; lower is better for all three. `n` is the number of examples."""

    ece: float
    brier: float
    nll: float
    n: int


def calibration(references: Sequence[str], probabilities: Probabilities) -> Calibration:
    """Return all three measures; raises `DataError` for no examples or unequal lengths."""
    return Calibration(
        expected_calibration_error(references, probabilities),
        brier_score(references, probabilities),
        negative_log_likelihood(references, probabilities),
        len(references),
    )


def expected_calibration_error(references: Sequence[str], probabilities: Probabilities, *, bins: int = BINS) -> float:
    """Return the mean gap between confidence and accuracy over equally wide bins of confidence (l, r], by bin size.

    Guo et al. (2017), equation 3, with the confidence being the highest probability.
    """
    _check(references, probabilities)
    top = [max(row.items(), key=lambda item: item[1], default=(None, 0.0)) for row in probabilities]
    confidence = np.array([value for _, value in top])
    right = np.array([label == truth for (label, _), truth in zip(top, references, strict=True)], dtype=float)
    position = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(position, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(references))


def brier_score(references: Sequence[str], probabilities: Probabilities) -> float:
    """Return the mean squared distance between the probabilities and the truth, summed over labels (0 to 2).

    Brier (1950), "Verification of Forecasts Expressed in Terms of Probability", the original form for several classes.
    """
    _check(references, probabilities)
    total = 0.0
    for truth, row in zip(references, probabilities, strict=True):
        others = sum(value**2 for label, value in row.items() if label != truth)
        total += others + (1.0 - row.get(truth, 0.0)) ** 2
    return total / len(references)


def negative_log_likelihood(references: Sequence[str], probabilities: Probabilities) -> float:
    """Return the mean of -ln p(reference) in nats; a probability below 1e-12 counts as 1e-12."""
    _check(references, probabilities)
    given = [max(row.get(truth, 0.0), FLOOR) for truth, row in zip(references, probabilities, strict=True)]
    return float(-np.mean(np.log(given)))


def _check(references: Sequence[str], probabilities: Probabilities) -> None:
    if not references or len(references) != len(probabilities):
        raise DataError(
            f"Calibration needs one row of probabilities a reference, got {len(probabilities)} for {len(references)}."
        )
