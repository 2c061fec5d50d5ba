"""Correct label probabilities for a model's bias towards some labels, and turn those of written answers into chances.

Batch calibration and vector scaling are one affine map of the labels' log-probabilities, renormalised:

    log q(y) = scale(y) log p(y) + bias(y) - log Z

A bias alone may change the label; that is its purpose. The probability of a written answer, a product over its tokens,
is mapped to the chance that the answer is right by the same on the log-odds (Platt scaling):

    logit q = scale logit p + bias

It is the plain probability of the sequence, not that of its mean token (both in Malinin & Gales 2021, "Uncertainty
Estimation in Autoregressive Structured Prediction", section 3): right means that the whole answer is right, and of a
greedy answer the plain one is enough (Aichberger, Schweighofer & Hochreiter 2024, arXiv:2412.15176).

Not covered: measuring calibration (`calibration`), deciding whether to use one for labels
(`llmtl.prompting.calibrating`), matrix scaling (C x C parameters need thousands of labels).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llmtl.errors import DataError

Floats = NDArray[np.float64]

FLOOR = 1e-6
"""Lower probabilities count as this much. Serving does not ask the model where no label can have more
(`llmtl.engines.vllm.branches.NEGLIGIBLE`), so that smaller ones are not known there."""
PENALTY = 1.0
"""Weight of the squared distance to the identity: a standard normal prior on each scale and bias."""


class Method(StrEnum):
    """How a calibration was found."""

    BATCH = "batch"  # from unlabelled inputs and the train labels' frequencies
    AFFINE = "affine"  # from labelled examples


@dataclass(frozen=True)
class LabelCalibration:
    """An affine map of log-probabilities, one scale and one bias per label, in the task's order."""

    method: Method
    scale: tuple[float, ...]
    bias: tuple[float, ...]

    def apply(self, probabilities: ArrayLike) -> Floats:
        """Calibrate probabilities, (..., C) to (..., C); raise `DataError` for another number of labels."""
        given = np.asarray(probabilities, dtype=float)
        if given.shape[-1] != len(self.scale):
            raise DataError(
                f"A calibration for {len(self.scale)} labels got {given.shape[-1]} probabilities; run the recipe again."
            )
        return _softmax(np.array(self.scale) * _log(given) + np.array(self.bias))

    def label(self, probabilities: Mapping[str, float]) -> tuple[str, dict[str, float]]:
        """Pick the likeliest label after calibration, the first of equals; return it with the probability of each."""
        row = self.apply(list(probabilities.values())).tolist()
        calibrated = dict(zip(probabilities, row, strict=True))
        return max(calibrated, key=calibrated.__getitem__), calibrated


def train_prior(references: Sequence[str], labels: Sequence[str]) -> Floats:
    """Compute the relative frequency of each label, one example added to each (Laplace), (C,)."""
    counts = np.array([1 + sum(reference == label for reference in references) for label in labels], dtype=float)
    prior: Floats = counts / counts.sum()
    return prior


def batch_calibration(probabilities: ArrayLike, prior: ArrayLike) -> LabelCalibration:
    """Fit batch calibration on (N, C) probabilities, and multiply the labels' `prior` (C,) back.

    Zhou et al. (2024), "Batch Calibration: Rethinking Calibration for In-Context Learning and Prompt Engineering": the
    mean probability of a label over inputs is the prompt's bias, and is divided out. That alone assumes evenly
    frequent labels; multiplying by the train labels' frequencies does not.
    """
    leaning = np.asarray(probabilities, dtype=float).mean(axis=0)
    bias = _log(prior) - _log(leaning)
    return LabelCalibration(Method.BATCH, (1.0,) * len(bias), tuple(bias.tolist()))


def affine_calibration(probabilities: ArrayLike, truth: ArrayLike, *, penalty: float = PENALTY) -> LabelCalibration:
    """Fit vector scaling of (N, C) probabilities to the indices of the true labels, (N,).

    Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2: the least negative log-likelihood, here
    drawn to the identity by `penalty`, since there may be as few as 100 examples.
    """
    from scipy.optimize import minimize

    logs, right = _log(probabilities), np.asarray(truth, dtype=int)
    count, labels = logs.shape
    start = np.concatenate([np.ones(labels), np.zeros(labels)])

    def loss(values: Floats) -> tuple[float, Floats]:
        """Compute the penalised negative log-likelihood and its gradient."""
        found = _softmax(values[:labels] * logs + values[labels:])
        rows = np.arange(count)
        total = -np.log(np.maximum(found[rows, right], np.finfo(float).tiny)).sum()
        found[rows, right] -= 1.0
        distance = values - start
        slope = np.concatenate([(found * logs).sum(axis=0), found.sum(axis=0)])
        return float(total + penalty / 2 * distance @ distance), slope + penalty * distance

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return LabelCalibration(Method.AFFINE, tuple(fitted[:labels].tolist()), tuple(fitted[labels:].tolist()))


@dataclass(frozen=True)
class SequenceCalibration:
    """From the log-probability of a written answer to the chance that it is right; `scale` is above 0."""

    scale: float
    bias: float

    def chance(self, logprob: float) -> float:
        """Compute the chance for one answer."""
        return float(self.chances([logprob])[0])

    def chances(self, logprobs: ArrayLike) -> Floats:
        """Compute the chance for each of N answers."""
        from scipy.special import expit

        return np.asarray(expit(self.scale * _log_odds(logprobs) + self.bias))


LEAST_SCALE = 0.01
"""Keeps the order of answers, whatever the examples say: an order that is no good shows in the AUROC."""


def sequence_calibration(logprobs: ArrayLike, right: ArrayLike, *, penalty: float = PENALTY) -> SequenceCalibration:
    """Fit the map on N answers with whether each is right.

    Platt (1999), "Probabilistic Outputs for Support Vector Machines", drawn to the identity by `penalty` as in
    `affine_calibration`, so that it is finite where all answers are right, or all wrong.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    odds, truth = _log_odds(logprobs), np.asarray(right, dtype=float)
    start = np.array([1.0, 0.0])

    def loss(values: Floats) -> tuple[float, Floats]:
        """Compute the penalised negative log-likelihood and its gradient."""
        found = values[0] * odds + values[1]
        total = np.logaddexp(0, found) - truth * found
        error, distance = expit(found) - truth, values - start
        slope = np.array([error @ odds, error.sum()])
        return float(total.sum() + penalty / 2 * distance @ distance), slope + penalty * distance

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(LEAST_SCALE, None), (None, None)]).x
    return SequenceCalibration(float(fitted[0]), float(fitted[1]))


def _log_odds(logprobs: ArrayLike) -> Floats:
    """Turn log-probabilities into log-odds; a probability above 1 - `FLOOR`, where rounding decides, counts as that."""
    logs = np.minimum(np.asarray(logprobs, dtype=float), np.log1p(-FLOOR))
    return np.asarray(logs - np.log(-np.expm1(logs)))


def _log(probabilities: ArrayLike) -> Floats:
    """Take logarithms; probabilities below `FLOOR` count as `FLOOR`."""
    logs: Floats = np.log(np.maximum(np.asarray(probabilities, dtype=float), FLOOR))
    return logs


def _softmax(logs: Floats) -> Floats:
    """Normalise logarithms, known up to a constant, to probabilities over the last axis."""
    weights: Floats = np.exp(logs - logs.max(axis=-1, keepdims=True))
    total: Floats = weights.sum(axis=-1, keepdims=True)
    return weights / total
