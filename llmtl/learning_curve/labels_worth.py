"""How many times the labels pre-training is worth: how few a tuned model needs to score what its control does.

The idea of data transferred is that of Hernandez et al. (2021), "Scaling Laws for Transfer" (arXiv:2102.01293): how
many examples training from random weights would take for the same score. They extrapolate the control's curve; here
nothing is: the control is measured with all of train, and the curve of the tuned model says with which part of it the
same was reached. Scores are drawn with the noise that they share, being measured on the same dev examples, and with
that of another draw of train. Not covered: which of the two is better with all of train (`llmtl.decision.transfer`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmtl.learning_curve.power_law import DRAW_SDS, Floats, draw_prior

DRAWS = 4000
SHARES = (0.1, 0.5, 0.9)
"""The quantiles of a band of 80% and its middle."""
_SEED = 0


@dataclass(frozen=True)
class LabelsWorth:
    """`strategy` scores with `available` / `times` training examples what `control` does with all of them, on dev.

    `low` and `high` are an 80% interval of `times`. None stands for more than `most`, where the curve begins, with
    `smallest` examples; 0 for a control that is ahead with all examples, too.
    """

    strategy: str
    control: str
    available: int
    smallest: int
    times: float | None
    low: float | None
    high: float | None

    @property
    def most(self) -> float:
        """The largest factor that was measured."""
        return self.available / self.smallest


def labels_worth(
    strategy: str, control: str, sizes: Sequence[int], scores: Sequence[float], covariance: Floats
) -> LabelsWorth:
    """Find where the curve last passes the control's score, as a part of all labels.

    `sizes` are the k rising sizes of the curve, at least one. `scores` are those of the curve and, behind them, that of
    the control with the largest size; `covariance`, (k + 1, k + 1), is their noise.
    """
    rng = np.random.default_rng(_SEED)
    apart = rng.choice(DRAW_SDS, size=(DRAWS, 1), p=draw_prior())
    drawn = rng.multivariate_normal(np.asarray(scores), covariance, size=DRAWS, method="eigh")
    drawn += apart * rng.standard_normal(drawn.shape)
    ahead = drawn[:, :-1] - drawn[:, -1:]
    found = np.full(DRAWS, np.inf)  # ahead at every size
    logs = np.log(np.asarray(sizes, dtype=np.float64))
    for at in range(len(sizes)):
        behind = ahead[:, at] < 0
        if at == len(sizes) - 1:
            found[behind] = 0.0
        else:
            step = np.clip(-ahead[behind, at] / np.maximum(ahead[behind, at + 1] - ahead[behind, at], 1e-12), 0, 1)
            found[behind] = np.exp(logs[-1] - (logs[at] + step * (logs[at + 1] - logs[at])))
    low, times, high = (None if np.isinf(each) else float(each) for each in _quantiles(found))
    return LabelsWorth(strategy, control, sizes[-1], sizes[0], times=times, low=low, high=high)


def _quantiles(values: Floats) -> Floats:
    """Take quantiles that are values, since none lies between a number and infinity."""
    return np.asarray(np.quantile(values, SHARES, method="inverted_cdf"), dtype=np.float64)
