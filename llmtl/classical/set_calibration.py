"""Calibrate the probabilities of label sets: each label by itself on dev, where that helps; the answers stay.

Platt (1999), "Probabilistic Outputs for Support Vector Machines": an affine map of a label's log-odds. The log-odds of
a linear model stay linear under it, so the calibrated model has the same form and nothing more is kept. Not covered:
one label per input (`llmtl.metrics.recalibration`), whether the whole set is right.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from llmtl.answers import read_labels
from llmtl.classical.label_sets import answers_of
from llmtl.classical.linear import LinearModel
from llmtl.findings import CalibrationTrace, TriedCalibration
from llmtl.metrics.recalibration import Method, sequence_calibration
from llmtl.strategy import FitContext
from llmtl.task import references

Floats = NDArray[np.float64]

FOLDS = 5
CERTAIN = 30.0
"""Log-odds beyond this count as this much in a likelihood, so that it is finite where train knew only one answer."""


def calibrate_sets(
    model: LinearModel, logits: Floats, *, threshold: float, context: FitContext
) -> tuple[LinearModel, list[float], CalibrationTrace]:
    """Scale the weights of each label where cross-validation on dev makes the true sets likelier.

    `logits`, (N, C), are the model's on dev. The threshold moves along, for each label by itself, so that the answers
    stay what they were.
    """
    truth = np.array([[label in read_labels(each.reference) for label in model.labels] for each in context.dev])
    score = _score(logits, threshold, context)
    plain = TriedCalibration("uncalibrated", score, _nll(logits, truth))
    scaled = TriedCalibration(Method.AFFINE.value, score, _nll(_cross_validated(logits, truth, context.seed), truth))
    helps = scaled.nll < plain.nll
    trace = CalibrationTrace(Method.AFFINE.value if helps else None, len(truth), plain, (scaled,))
    scale, bias = _fitted(logits, truth) if helps else (np.ones(len(model.labels)), np.zeros(len(model.labels)))
    found = replace(
        model,
        weights=(model.weights * scale[:, None]).astype(np.float32),
        intercepts=(model.intercepts * scale + bias).astype(np.float32),
    )
    return found, expit(logit(threshold) * scale + bias).tolist(), trace


def _fitted(logits: Floats, truth: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Fit scale and bias of each label, (C,); a label that train has always or never stays as it is."""
    maps = [
        sequence_calibration(log_expit(column), right) if np.isfinite(column).all() else None
        for column, right in zip(logits.T, truth.T, strict=True)
    ]
    return (
        np.array([1.0 if each is None else each.scale for each in maps]),
        np.array([0.0 if each is None else each.bias for each in maps]),
    )


def _cross_validated(logits: Floats, truth: NDArray[np.bool_], seed: int) -> Floats:
    """Calibrate each example by a map that was fitted on the other folds."""
    order, found = np.random.default_rng(seed).permutation(len(truth)), np.empty_like(logits)
    for fold in range(FOLDS):
        held = order[fold::FOLDS]
        others = np.setdiff1d(order, held)
        scale, bias = _fitted(logits[others], truth[others])
        found[held] = logits[held] * scale + bias
    return found


def _score(logits: Floats, threshold: float, context: FitContext) -> float:
    """Compute the decision metric on dev."""
    task = context.task
    measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
    return measure.score(answers_of(task, expit(logits), threshold))


def _nll(logits: Floats, truth: NDArray[np.bool_]) -> float:
    """Compute the negative log-likelihood per example, summed over labels, nats."""
    bounded = np.clip(logits, -CERTAIN, CERTAIN)
    return float((np.logaddexp(0, bounded) - truth * bounded).sum(axis=1).mean())
