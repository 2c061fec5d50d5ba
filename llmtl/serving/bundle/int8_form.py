"""The winner's encoder in int8, taken where its answers on dev and test are those that were measured.

What was measured of the winner stays in the run. A bundle in int8 records what that form answered here on test, and its
server must give just that: rounding to 8 bits moves probabilities by more than what a live server may. Not covered:
writing the encoder (`llmtl.encoders.onnx_int8`), cascades, whose answers are put together of two.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from llmtl.encoders.onnx_int8 import INT8_FOLDER
from llmtl.errors import BundleError, ModelError
from llmtl.measured.endpoint import Int8Check
from llmtl.packages import require
from llmtl.progress import Progress
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Abstaining
from llmtl.serving.bundle.source import BundleSource
from llmtl.strategy import Prediction, Predictor
from llmtl.task import references

REQUIRED = 0.995
"""The least share of equal answers, as of a live server (`llmtl.serving.proof.parity`)."""


@runtime_checkable
class TakesInt8(Protocol):
    """A predictor whose encoder can be run in int8 on a CPU."""

    def in_int8(self, folder: Path) -> Predictor:
        """Write the encoder to `folder` in int8, and give the predictor that reads by it and keeps it.

        Raises `ModelError` for one that cannot be written so.
        """


@dataclass(frozen=True)
class Int8Outcome:
    """What came of the winner in int8: how it compares, and its predictor and predictions on test if it is taken.

    All are None where nobody asked for it.
    """

    check: Int8Check | None = None
    predictor: Predictor | None = None
    test: tuple[Prediction, ...] | None = None

    @classmethod
    def of(cls, source: BundleSource, folder: Path, progress: Progress) -> "Int8Outcome":
        """Write the encoder in int8 into the bundle in `folder` and compare; of one not taken, nothing is left."""
        place = folder / CLASSIFIER_FOLDER / INT8_FOLDER
        measured = source.served.predictor
        assert isinstance(measured, TakesInt8)
        progress.say("Writing the encoder in int8")
        try:
            predictor = measured.in_int8(place)
        except ModelError as error:
            shutil.rmtree(place, ignore_errors=True)
            return cls(Int8Check(taken=False, fault=str(error)))
        check, test = _compared(source, predictor, progress)
        if not check.taken:
            shutil.rmtree(place)
            return cls(check)
        return cls(check, predictor, test)


def require_int8(source: BundleSource) -> None:
    """Raise `BundleError` for a winner without an encoder, and `MissingPackageError` without ONNX Runtime."""
    if source.first is not None or not isinstance(source.served.predictor, TakesInt8):
        why = "is composed of two strategies" if source.first is not None else "reads texts with no encoder"
        raise BundleError(f"'{source.winner}' {why} and has no form in int8; leave --int8 out.")
    require("An encoder in int8", "onnx", "onnxruntime")


def _compared(
    source: BundleSource, predictor: Predictor, progress: Progress
) -> tuple[Int8Check, tuple[Prediction, ...]]:
    """Predict dev and test in int8 and compare the answers; give those on test, too."""
    on_dev = source.served.dev
    whole = on_dev is not None and on_dev.n == len(source.dev)
    dev, known = (source.dev, on_dev.predictions) if on_dev and whole else ((), ())
    examples, before = (*dev, *source.test), (*known, *source.served.test.predictions)
    with progress.stage("Comparing int8 with what was measured", len(examples)) as advance:
        now = predictor.predict([example.input for example in examples], advance=advance)
    abstains = source.abstaining.get(source.winner)
    agreed = sum(_same(*pair, abstains) for pair in zip(now, before, strict=True))
    task, test = source.task, tuple(now[len(dev) :])
    measure = task.kind.measure(task.metric, references(source.test), labels=task.labels)
    check = Int8Check(
        taken=agreed >= REQUIRED * len(examples),
        compared=len(examples),
        agreed=agreed,
        required=REQUIRED,
        largest_difference=_largest(now, before),
        score=measure.score([each.answer for each in test]),
        score_before=measure.score(source.served.test.answers),
    )
    return check, test


def _same(now: Prediction, before: Prediction, abstains: Abstaining | None) -> bool:
    """Say whether the answer is the same, and goes to a person in both or in neither."""
    if now.answer != before.answer or abstains is None:
        return now.answer == before.answer
    now_left, then_left = (abstains.leaves(each.certainty_by(abstains.calibration)) for each in (now, before))
    return now_left == then_left


def _largest(now: Sequence[Prediction], before: Sequence[Prediction]) -> float:
    """Find the largest difference of any label's probability."""
    pairs = (
        (value, then.probabilities[label])
        for each, then in zip(now, before, strict=True)
        for label, value in each.probabilities.items()
        if label in then.probabilities
    )
    return max((abs(value - then) for value, then in pairs), default=0.0)
