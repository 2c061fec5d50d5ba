"""Whether a calibration of label probabilities is worth keeping, found on dev and on train examples not in the prompt.

A calibration is fitted on all of them and kept only where, in cross-validation on them, it makes the true labels
likelier and the decision metric no lower. Not covered: the calibrations themselves (`llmtl.metrics.recalibration`).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtl.findings import CalibrationTrace, TriedCalibration
from llmtl.metrics.recalibration import LabelCalibration, Method, affine_calibration, batch_calibration, train_prior
from llmtl.prompting.config import CalibrationChoice
from llmtl.prompting.predictors import Asker
from llmtl.strategy import FitContext, Prediction
from llmtl.task import Example, Task, references

Floats = NDArray[np.float64]
Fit = Callable[[Floats, NDArray[np.int64]], LabelCalibration]
"""From probabilities (N, C) and the indices of the true labels (N,) to a calibration."""

FOLDS = 5
FEWEST = {Method.BATCH: 20, Method.AFFINE: 100}
"""Examples from which each method is tried. Batch calibration needs no labels and converges within tens of inputs (Zhou
et al. 2024, on batch size); vector scaling has two parameters per label."""
MOST_TRAIN = 200
"""Train examples that are scored for calibrating, at most."""


@dataclass(frozen=True)
class Known:
    """Examples with uncalibrated predictions, none of them failed: probabilities (N, C) and true labels (N,)."""

    task: Task
    examples: tuple[Example, ...]
    answers: tuple[str, ...]
    probabilities: Floats
    truth: NDArray[np.int64]

    @classmethod
    def of(cls, task: Task, examples: Sequence[Example], predictions: Sequence[Prediction]) -> "Known":
        """Take the examples whose predictions have probabilities."""
        pairs = [
            (example, prediction.answer, [prediction.probabilities[label] for label in task.labels])
            for example, prediction in zip(examples, predictions, strict=True)
            if prediction.answer is not None and prediction.probabilities
        ]
        return cls(
            task,
            tuple(example for example, _, _ in pairs),
            tuple(answer for _, answer, _ in pairs),
            np.array([row for _, _, row in pairs], dtype=float).reshape(len(pairs), len(task.labels)),
            np.array([task.labels.index(example.reference) for example, _, _ in pairs], dtype=int),
        )

    def score(self, answers: Sequence[str]) -> float:
        """Compute the decision metric of answers to these examples."""
        measure = self.task.kind.measure(self.task.metric, references(self.examples), labels=self.task.labels)
        return measure.score(answers)

    def nll(self, probabilities: Floats) -> float:
        """Compute the mean negative log-likelihood of the true labels, nats."""
        right = probabilities[np.arange(len(self.truth)), self.truth]
        return float(-np.log(np.maximum(right, np.finfo(float).tiny)).mean())


def calibrate(
    choice: CalibrationChoice,
    context: FitContext,
    predictor: Asker,
    *,
    dev: Sequence[Example],
    predictions: Sequence[Prediction],
    spare: Sequence[Example],
) -> tuple[LabelCalibration | None, tuple[CalibrationTrace, ...]]:
    """Find the calibration to keep, or None, and say what was tried.

    `predictions` are the predictor's on `dev`; `spare` are train examples that its prompts do not show, of which at
    most 200 are scored too.
    """
    if choice is CalibrationChoice.OFF or not context.task.kind.one_label:
        return None, ()
    more = random.Random(context.seed).sample(list(spare), min(MOST_TRAIN, len(spare)))
    scored = [*predictions, *(predictor.predict([example.text for example in more]) if more else ())]
    known = Known.of(context.task, (*dev, *more), scored)
    prior = train_prior(references(context.train), context.task.labels)
    fits: dict[Method, Fit] = {
        Method.BATCH: lambda probabilities, _: batch_calibration(probabilities, prior),
        Method.AFFINE: affine_calibration,
    }
    wanted = {
        method: fit
        for method, fit in fits.items()
        if choice in (CalibrationChoice.AUTO, method.value) and len(known.truth) >= FEWEST[method]
    }
    return better(known, wanted, seed=context.seed)


def better(
    known: Known, fits: Mapping[Method, Fit], *, seed: int
) -> tuple[LabelCalibration | None, tuple[CalibrationTrace, ...]]:
    """Find the calibration with the best cross-validated likelihood among those that do not hurt."""
    if not fits:
        return None, (CalibrationTrace(None, len(known.truth)),)
    plain = TriedCalibration("uncalibrated", known.score(known.answers), known.nll(known.probabilities))
    tried = {method: _cross_validated(known, method, fit, seed=seed) for method, fit in fits.items()}
    helping = [method for method, row in tried.items() if row.score >= plain.score - 1e-12 and row.nll < plain.nll]
    best = min(helping, key=lambda method: tried[method].nll, default=None)
    trace = CalibrationTrace(None if best is None else best.value, len(known.truth), plain, tuple(tried.values()))
    return None if best is None else fits[best](known.probabilities, known.truth), (trace,)


def _cross_validated(known: Known, method: Method, fit: Fit, *, seed: int) -> TriedCalibration:
    """Score predictions that are calibrated on the other folds."""
    count = len(known.truth)
    order = np.random.default_rng(seed).permutation(count)
    found = np.empty_like(known.probabilities)
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        others = np.setdiff1d(order, held)
        found[held] = fit(known.probabilities[others], known.truth[others]).apply(known.probabilities[held])
    labels = known.task.labels
    score = known.score([labels[index] for index in found.argmax(axis=1)])
    return TriedCalibration(method.value, score, known.nll(found))
