"""Measure how far probabilities can be trusted: the expected calibration error.

Not covered: correcting them (`recalibration`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from llmtl.errors import DataError

Probabilities = Sequence[Mapping[str, float]]

BINS = 15
"""Guo et al. (2017), "On Calibration of Modern Neural Networks", section 2 and its experiments."""


def expected_calibration_error(references: Sequence[str], probabilities: Probabilities, *, bins: int = BINS) -> float:
    """Average the gap between confidence and accuracy over equally wide bins of confidence (l, r], by bin size.

    Guo et al. (2017), equation 3, with the confidence being the highest probability. An empty mapping (a failed
    prediction) has confidence 0. Raises `DataError` for no examples or unequal lengths.
    """
    _check(references, probabilities)
    top = [max(row.items(), key=lambda item: item[1], default=(None, 0.0)) for row in probabilities]
    confidence = np.array([value for _, value in top])
    right = np.array([label == truth for (label, _), truth in zip(top, references, strict=True)], dtype=float)
    position = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(position, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(references))


def _check(references: Sequence[str], probabilities: Probabilities) -> None:
    if not references or len(references) != len(probabilities):
        raise DataError(
            f"Calibration needs one row of probabilities per reference, got {len(probabilities)} for {len(references)}."
        )
