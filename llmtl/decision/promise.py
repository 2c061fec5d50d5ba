"""The values that say how much can be left to a strategy: codes and numbers, no sentences.

Not covered: how they are reached (`automation`).
"""

from dataclasses import dataclass
from enum import StrEnum

from llmtl.metrics.calibration import CalibrationTest
from llmtl.metrics.recalibration import SequenceCalibration


class Promise(StrEnum):
    """What can be promised about the errors of a strategy that answers alone."""

    SHOWN = "shown"
    NOT_SHOWN = "not_shown"  # dev found a threshold, and test did not show that it holds
    NO_CONFIDENCE = "no_confidence"  # its predictions do not say how sure they are
    BY_DEGREES = "by_degrees"  # texts and rankings are better or worse, not right or wrong
    TOO_FEW = "too_few"  # even without an error, test has too few examples
    UNORDERED = "unordered"  # on dev its confidence is not shown to be higher where it is right
    NO_THRESHOLD = "no_threshold"  # on dev no threshold keeps errors low enough


@dataclass(frozen=True)
class Ladder:
    """What dev fixed for one strategy: thresholds to try in this order, at this level, or why there are none.

    `auroc` is the chance that a right answer on dev has more confidence than a wrong one; None where all or none are
    right. `expected_share` predicts the share of inputs that test will show can be left to the strategy. Where answers
    are written, `calibration` makes confidences of their log-probabilities, and thresholds are of these.
    """

    strategy: str
    thresholds: tuple[float, ...]
    level: float
    expected_share: float = 0.0
    auroc: float | None = None
    why_none: Promise | None = None
    calibration: SequenceCalibration | None = None


@dataclass(frozen=True)
class UnknownInputs:
    """Inputs without a right answer: how many of `n` are rejected, with a 95% interval, None without a threshold.

    `auroc` is the chance that a test input has more confidence than one of these; None where there is no confidence.
    """

    n: int
    auroc: float | None
    rejected: float | None
    rejected_ci95: tuple[float, float] | None


@dataclass(frozen=True)
class Automated:
    """What test shows about one strategy's answers that are at least as sure as `threshold`.

    `share` of the test inputs were answered (`answered` of `n`), with a 95% interval; `errors` of these were wrong.
    `at_most` bounds the true share of errors among them, with confidence 1 - `level`: the limit where that is shown,
    and else the exact bound at the first threshold tried. `needed` answers without any error would show the limit.
    Numbers are None where nothing could be tried.

    `calibration` is the ladder's. `calibrated` says whether confidences on test are the chances of being right, None
    where there are none: the bound needs no such thing, but whoever reads a confidence as a chance does.
    """

    strategy: str
    promise: Promise
    n: int
    level: float
    needed: int
    threshold: float | None = None
    answered: int | None = None
    share: float | None = None
    share_ci95: tuple[float, float] | None = None
    errors: int | None = None
    at_most: float | None = None
    auroc: float | None = None
    unknown: UnknownInputs | None = None
    calibration: SequenceCalibration | None = None
    calibrated: CalibrationTest | None = None

    @property
    def error(self) -> float | None:
        """Return the share of errors among the answered; None where nothing was answered."""
        return self.errors / self.answered if self.answered and self.errors is not None else None
