"""Simulated learning curves: strategies with a known power law, all sizes scored on the same examples."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from llmtl.learning_curve import CurvePoint, MeasuredCurve

SIZES = (25, 50, 100, 200, 400)


def measured(
    errors: Sequence[float],
    *,
    strategy: str = "tfidf",
    sizes: Sequence[int] = SIZES,
    examples: int = 200,
    seed: int = 0,
) -> MeasuredCurve:
    """Return a curve whose true errors are given; an example that is hard at one size tends to be at all."""
    rng = np.random.default_rng(seed)
    hardness = rng.standard_normal(examples)
    wrong = np.array([0.8 * hardness + 0.6 * rng.standard_normal(examples) < ndtri(error) for error in errors])
    return of(1 - wrong.mean(axis=1), np.cov(wrong.astype(float)) / examples, strategy, sizes, examples)


def exactly(scores: Sequence[float], *, strategy: str = "tfidf", sizes: Sequence[int] = SIZES) -> MeasuredCurve:
    """Return a curve with these very scores and a standard error of one point each, independent."""
    return of(scores, 0.01**2 * np.eye(len(scores)), strategy, sizes, 500)


def of(
    scores: Sequence[float], covariance: np.ndarray, strategy: str, sizes: Sequence[int], examples: int
) -> MeasuredCurve:
    points = tuple(CurvePoint(size, float(score), (0.0, 1.0)) for size, score in zip(sizes, scores, strict=True))
    return MeasuredCurve(strategy, points, np.atleast_2d(covariance), examples)


def power_law(a: float, b: float, sizes: Sequence[int] = SIZES) -> list[float]:
    return [a * size**-b for size in sizes]
