"""The winner's encoder in int8, taken where its answers on dev, test and train are those that were measured.

The forms that it can be written in are tried in turn, from all in int8 to ever more in float32, and the first whose
answers stay is taken. No labels are needed to see that, so train counts, too: on a hundred inputs a single near tie is
1%. But a model knows train, and its answers there move less; so those on dev and test alone must not be surprisingly
few. What was measured of the winner stays in the run. A bundle in int8 records what that form answered here on test,
and its server must give just that: rounding to 8 bits moves probabilities by more than what a live server may. Not
covered: writing the encoder (`llmtl.encoders.onnx_int8`), cascades, whose answers are put together of two.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from llmtl.encoders.onnx_int8 import INT8_FOLDER, Rounded
from llmtl.errors import BundleError, ModelError
from llmtl.measured.endpoint import Int8Check
from llmtl.packages import require
from llmtl.progress import Progress
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Abstaining
from llmtl.serving.bundle.source import BundleSource
from llmtl.strategy import Prediction, Predictor
from llmtl.task import Input, references, texts_of

REQUIRED = 0.995
"""The least share of equal answers, as of a live server (`llmtl.serving.proof.parity`)."""
MOST = 2_000
"""Inputs that are compared: dev and test in full, and of train what they leave."""
SURPRISING = 0.05
"""Answers stay on dev and test alone if a form that keeps `REQUIRED` of all answers would often keep no more of these:
the probability of so few, by the binomial distribution, is at least this."""


@runtime_checkable
class TakesInt8(Protocol):
    """A predictor whose encoder can be run in int8 on a CPU."""

    def in_int8(self, folder: Path, texts: Sequence[str]) -> Iterator[tuple[Rounded, Predictor]]:
        """Write one form of the encoder in int8 after the other to `folder`, and give what reads by it and keeps it.

        Each is nearer to float32, and slower; on the `texts` it is judged what stays in float32. Raises `ModelError`
        for an encoder that cannot be written so.
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
        """Write forms of the encoder into the bundle in `folder` until answers stay; of others, none is left."""
        place = folder / CLASSIFIER_FOLDER / INT8_FOLDER
        measured = source.served.predictor
        assert isinstance(measured, TakesInt8)
        progress.say("Writing the encoder in int8")
        known, check = _Known.of(source, progress), Int8Check(taken=False)
        try:
            for form, predictor in measured.in_int8(place, texts_of(known.inputs)):
                check, test = known.compared(source, predictor, progress)
                check = replace(check, floats=form.floats, products=form.products)
                if check.taken:
                    return cls(check, predictor, test)
        except ModelError as error:
            check = Int8Check(taken=False, fault=str(error))
        shutil.rmtree(place, ignore_errors=True)
        return cls(check)


def require_int8(source: BundleSource) -> None:
    """Raise `BundleError` for a winner without an encoder, and `MissingPackageError` without ONNX Runtime."""
    if source.first is not None or not isinstance(source.served.predictor, TakesInt8):
        why = "is composed of two strategies" if source.first is not None else "reads texts with no encoder"
        raise BundleError(f"'{source.winner}' {why} and has no form in int8; leave --int8 out.")
    require("An encoder in int8", "onnx", "onnxruntime")


@dataclass(frozen=True)
class _Known:
    """Inputs with what the winner answered as it was measured: `dev` of dev, those of test, and `train` of train."""

    inputs: tuple[Input, ...]
    before: tuple[Prediction, ...]
    dev: int
    train: int

    @classmethod
    def of(cls, source: BundleSource, progress: Progress) -> "_Known":
        """Take what was measured on dev and test, and predict a part of train."""
        on_dev = source.served.dev
        whole = on_dev is not None and on_dev.n == len(source.dev)
        dev, known = (source.dev, on_dev.predictions) if on_dev and whole else ((), ())
        train = source.train[: max(0, MOST - len(dev) - len(source.test))]
        with progress.stage("Answering train as it was measured", len(train)) as advance:
            told = source.served.predictor.predict([each.input for each in train], advance=advance) if train else []
        inputs = tuple(each.input for each in (*dev, *source.test, *train))
        return cls(inputs, (*known, *source.served.test.predictions, *told), len(dev), len(train))

    def compared(
        self, source: BundleSource, predictor: Predictor, progress: Progress
    ) -> tuple[Int8Check, tuple[Prediction, ...]]:
        """Predict in int8 and compare the answers; give those on test, too."""
        with progress.stage("Comparing int8 with what was measured", len(self.inputs)) as advance:
            now = predictor.predict(self.inputs, advance=advance)
        abstains = source.abstaining.get(source.winner)
        same = [_same(*pair, abstains) for pair in zip(now, self.before, strict=True)]
        unseen = len(same) - self.train
        task, test = source.task, tuple(now[self.dev : unseen])
        measure = task.kind.measure(task.metric, references(source.test), labels=task.labels)
        check = Int8Check(
            taken=_stay(same[:unseen], same),
            compared=len(same),
            agreed=sum(same),
            required=REQUIRED,
            largest_difference=_largest(now, self.before),
            score=measure.score([each.answer for each in test]),
            score_before=measure.score(source.served.test.answers),
            compared_on_train=self.train,
            agreed_on_train=sum(same[unseen:]),
        )
        return check, test


def _stay(unseen: Sequence[bool], every: Sequence[bool]) -> bool:
    """Say whether enough answers are the same among all, and not surprisingly few among those on dev and test."""
    from scipy.stats import binom

    likely = binom.cdf(sum(unseen), len(unseen), REQUIRED) >= SURPRISING
    return bool(likely) and sum(every) >= REQUIRED * len(every)


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
