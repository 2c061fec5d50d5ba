"""How well labels can be told apart by the states of a frozen model, without training a head.

LogME (You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", arXiv:2102.11005) is
the log evidence per text of a Bayesian linear regression from states to labels, at its best precisions. The H-score
(Bao et al. 2019, "An Information-Theoretic Approach to Transferability in Task Transfer Learning") is how much of the
states' variance lies between labels, after whitening; with few texts for many dimensions it overrates, so the
covariance is shrunk (Ibrahim, Ponomareva & Mazumder 2021, "Newer is not always better", arXiv:2110.06893). Both rank:
neither is a score on the task. Not covered: spans and texts as references.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_ROUNDS = 100
TOLERANCE = 1e-6
"""The relative change of the ratio of precisions at which LogME's fixed point is found."""
TINY = 1e-12


@dataclass(frozen=True)
class Separability:
    """LogME (nats per text and label, at most about 1; higher is better) and the regularised H-score (0 and more)."""

    logme: float
    h_score: float


def separability(states: NDArray[np.floating], targets: NDArray[np.floating], *, several: bool = False) -> Separability:
    """Score N states, (N, D), by N rows of 0 and 1 for K labels, (N, K).

    `several`: a text may have several labels, or none; each label is then a question of its own, and the mean over the
    labels is taken. LogME is a mean over labels in any case.
    """
    x, y = np.asarray(states, np.float64), np.asarray(targets, np.float64)
    return Separability(logme(x, y), h_score(x, y, several=several))


def logme(states: Floats, targets: Floats) -> float:
    """Compute LogME: the mean over columns of `targets`, (N, K), of the highest log evidence per text."""
    left, singular, _ = np.linalg.svd(states, full_matrices=False)
    squared = singular**2
    known = squared > TINY * max(float(squared.max(initial=0.0)), TINY)
    projected = left[:, known].T @ targets
    return float(
        np.mean(
            [
                _evidence(squared[known], projected[:, at] ** 2, float(targets[:, at] @ targets[:, at]), len(targets))
                for at in range(targets.shape[1])
            ]
        )
    )


def _evidence(squared: Floats, energy: Floats, total: float, n: int) -> float:
    """Find the highest evidence of one label over the precisions alpha of the weights and beta of the noise.

    `squared` are the r squared singular values of the states, `energy` what of the label lies along each, `total` the
    label's squared length. The fixed point is that of MacKay (1992), as You et al. iterate it.
    """
    outside = max(total - float(energy.sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(MOST_ROUNDS):
        ratio = alpha / beta
        freedom = float((squared / (squared + ratio)).sum())
        weights = float((squared * energy / (squared + ratio) ** 2).sum())
        error = float((energy / (1 + squared / ratio) ** 2).sum()) + outside
        alpha, beta = max(freedom / max(weights, TINY), TINY), (n - freedom) / max(error, TINY)
        if abs(alpha / beta - ratio) <= TOLERANCE * ratio:
            break
    ratio = alpha / beta
    weights = float((squared * energy / (squared + ratio) ** 2).sum())
    error = float((energy / (1 + squared / ratio) ** 2).sum()) + outside
    # directions without variance cancel: each adds log(alpha) / 2 to the first term and to the third
    evidence = len(squared) * np.log(alpha) + n * np.log(beta) - np.log(alpha + beta * squared).sum()
    return float((evidence - beta * error - alpha * weights - n * np.log(2 * np.pi)) / (2 * n))


def h_score(states: Floats, targets: Floats, *, several: bool = False) -> float:
    """Compute the regularised H-score: tr(S^-1 (1 - a) B).

    B is the covariance of the labels' mean states, S that of states, shrunk by a towards a multiple of the identity as
    Ledoit & Wolf (2004) choose it.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    centred = states - states.mean(axis=0)
    n = len(centred)
    variance = float((centred**2).sum()) / n
    if variance <= TINY:
        return 0.0
    share = float(ledoit_wolf_shrinkage(centred, assume_centered=True))
    _, singular, right = np.linalg.svd(centred / np.sqrt(n), full_matrices=False)
    # means of labels lie where the states do, so that the inverse is needed in those directions alone
    shrunk = (1 - share) * singular**2 + share * variance / centred.shape[1]
    groupings = [np.stack([1 - column, column], axis=1) for column in targets.T] if several else [targets]
    scores = []
    for members in groupings:
        sizes = members.sum(axis=0)
        there = sizes > 0
        means = (members[:, there].T @ centred) / sizes[there, None]  # (K, D)
        along = (means @ right.T) ** 2
        usable = shrunk > TINY * variance
        scores.append((1 - share) * float((sizes[there, None] / n * along[:, usable] / shrunk[usable]).sum()))
    return float(np.mean(scores))
