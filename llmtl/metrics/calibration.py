"""Measure how far probabilities can be trusted: the expected calibration error, and a test of calibration.

Not covered: correcting them (`recalibration`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

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
    return _mean_gap(confidence, right, bins)


@dataclass(frozen=True)
class CalibrationTest:
    """Whether confidences are the chances of being right: `z` of Spiegelhalter with its two-sided `p`, and the ECE.

    `confidence` is the mean of the `n` confidences, `right` the share that is right, and `p_mean` the two-sided p-value
    of the difference between these two; None in runs of before it was tested.
    """

    n: int
    confidence: float
    right: float
    ece: float
    z: float
    p: float
    p_mean: float | None = None

    @property
    def p_both(self) -> float:
        """Give the p-value of both tests together (Bonferroni)."""
        return self.p if self.p_mean is None else min(1.0, 2 * min(self.p, self.p_mean))


CLIP = 1e-6
"""Confidences count as this far from 0 and 1 at least: a single error at a confidence of 1 would be impossible."""


def calibration_test(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], codes: NDArray[np.int64]
) -> CalibrationTest:
    """Test that N confidences are the chances of being right, against any other; N is at least 1.

    Spiegelhalter (1986), "Probabilistic Prediction in Patient Management and Clinical Trials", as in Rufibach (2010),
    "Use of Brier score to assess binary predictions": the part of the Brier score that is 0 on average under perfect
    calibration, over its standard deviation there. Examples of one group (`codes`) may be right or wrong together: then
    the standard deviation is that of the sums of groups. It sees little where confidences are near 0.5, so the mean is
    tested, too: calibration in the large, Cox (1958), "Two Further Applications of a Model for Binary Regression".
    """
    chance, hits = np.clip(confidence, CLIP, 1 - CLIP), right.astype(float)
    z = _z(hits, chance, 1 - 2 * chance, codes)
    return CalibrationTest(
        n=len(hits),
        confidence=float(confidence.mean()),
        right=float(hits.mean()),
        ece=_mean_gap(confidence, hits, BINS),
        z=z,
        p=float(2 * ndtr(-abs(z))),
        p_mean=float(2 * ndtr(-abs(_z(hits, chance, np.ones_like(chance), codes)))),
    )


def _z(
    hits: NDArray[np.float64], chance: NDArray[np.float64], weight: NDArray[np.float64], codes: NDArray[np.int64]
) -> float:
    """Divide the weighted sum of hits less chances by its standard deviation under perfect calibration."""
    parts = (hits - chance) * weight
    alone = len(np.unique(codes)) == len(codes)
    squares = weight**2 * chance * (1 - chance) if alone else np.bincount(codes, weights=parts) ** 2
    spread = float(np.sqrt(squares.sum()))
    return float(parts.sum()) / spread if spread > 0 else 0.0


def _mean_gap(confidence: NDArray[np.float64], right: NDArray[np.float64], bins: int) -> float:
    position = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(position, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def _check(references: Sequence[str], probabilities: Probabilities) -> None:
    if not references or len(references) != len(probabilities):
        raise DataError(
            f"Calibration needs one row of probabilities per reference, got {len(probabilities)} for {len(references)}."
        )
