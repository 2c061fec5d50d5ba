"""Right or wrong, nothing between: accuracy, subset accuracy and exact match.

Not covered: the interval of a share, which has a closed form (`intervals`).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtl.task import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ExactMeasure:
    """The share of answers that are one of the accepted ones; `key` turns an answer into what is compared."""

    metric: Metric
    accepted: tuple[frozenset[Hashable], ...]
    key: Callable[[str], Hashable]

    def counts(self, answers: Sequence[str | None]) -> Floats:
        """Return whether each answer is right, and 1; shape (N, 2)."""
        right = self.each(answers)
        return np.stack([right, np.ones_like(right)], axis=1)

    def value(self, totals: Floats) -> Floats:
        """Return the share of right answers, shape (..., 2) to (...)."""
        return np.asarray(totals[..., 0] / totals[..., 1], dtype=np.float64)

    @property
    def rests_on(self) -> float:
        """Return 1: the share rests on all examples."""
        return 1.0

    def without_hits(self, counts: Floats) -> Floats:
        """Return the counts of wrong answers."""
        return np.asarray(counts * (0.0, 1.0), dtype=np.float64)

    def each(self, answers: Sequence[str | None]) -> Floats:
        """Return 1 for a right and 0 for a wrong or failed answer, shape (N,)."""
        pairs = zip(self.accepted, answers, strict=True)
        return np.array([answer is not None and self.key(answer) in accepted for accepted, answer in pairs], float)


def exact(
    metric: Metric,
    references: Sequence[str],
    key: Callable[[str], Hashable],
    *,
    alternatives: Sequence[Sequence[str]] = (),
) -> ExactMeasure:
    """Return the share of answers that equal their reference, or one of its alternatives, in what `key` keeps."""
    others = alternatives or [()] * len(references)
    accepted = [frozenset(map(key, (one, *more))) for one, more in zip(references, others, strict=True)]
    return ExactMeasure(metric, tuple(accepted), key)
