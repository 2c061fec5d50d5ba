"""Find where a strategy that learns from labels overtakes one that prompts.

Both curves are drawn from their posteriors as if they were independent, although they were scored on the same examples:
that can make the answer less certain than it could be, never more. Not covered: costs.
"""

from dataclasses import dataclass

import numpy as np

from llmtl.learning_curve.forecast import MeasuredCurve
from llmtl.learning_curve.power_law import FURTHEST, Floats, fit

DRAWS = 4000
_SIZES = 65
_SEED = 0


@dataclass(frozen=True)
class Crossover:
    """From about `size` training examples on, `learner` is probably ahead of `rival`; None if it never is.

    `low` and `high` are where the probability of being ahead reaches 10% and 90%, None if not by `furthest`.
    `now` is that probability with today's training examples.
    """

    learner: str
    rival: str
    size: int | None
    low: int | None
    high: int | None
    now: float
    available: int
    smallest: int
    furthest: int

    @property
    def sentence(self) -> str:
        """The finding in one sentence, such as "tfidf overtakes zero-shot at about 300 training examples"."""
        if self.size is None:
            chance = "" if self.low is None else f"; with probability 10% it is ahead from about {self.low:,} on"
            within = f"within {self.furthest:,} training examples{chance}"
            return f"{self.learner} is not forecast to overtake {self.rival} {within}."
        if self.size <= self.smallest:
            tried = f"{self.smallest:,} training examples on, the fewest tried"
            return f"{self.learner} is ahead of {self.rival} from {tried}."
        if self.size <= self.available:
            return f"{self.learner} overtakes {self.rival} at about {self.size:,} training examples{self._range}."
        where = f"at about {self.size:,} training examples{self._range}"
        return f"{self.learner} is forecast to overtake {self.rival} {where}."

    @property
    def _range(self) -> str:
        low = f"{self.smallest:,}" if self.low is None else f"{self.low:,}"
        high = f"beyond {self.furthest:,}" if self.high is None else f"{self.high:,}"
        return f" (80%: {low} to {high})"


def crossover(learner: MeasuredCurve, rival: MeasuredCurve) -> Crossover:
    """Find where `learner` overtakes `rival`; a rival with one point needs no labels and stays where it is."""
    rng = np.random.default_rng(_SEED)
    smallest, available = learner.points[0].size, learner.points[-1].size
    furthest = FURTHEST * available
    sizes = np.geomspace(smallest, furthest, _SIZES)
    ahead = (_errors(learner, sizes, rng) < _errors(rival, sizes, rng)).mean(axis=0)
    lasting = np.minimum.accumulate(ahead[::-1])[::-1]  # the lowest probability from here on
    return Crossover(
        learner=learner.strategy,
        rival=rival.strategy,
        size=_first(sizes, lasting, 0.5),
        low=_first(sizes, lasting, 0.1),
        high=_first(sizes, lasting, 0.9),
        now=float(np.interp(np.log(available), np.log(sizes), ahead)),
        available=available,
        smallest=smallest,
        furthest=furthest,
    )


def _errors(measured: MeasuredCurve, sizes: Floats, rng: np.random.Generator) -> Floats:
    """Draw errors at the sizes, shape (draws, sizes)."""
    if len(measured.points) == 1:
        spread = float(np.sqrt(measured.noise[0, 0]))
        return np.asarray(measured.errors[0] + spread * rng.standard_normal((DRAWS, 1)) + np.zeros_like(sizes))
    drawn = fit(measured.sizes, measured.errors, measured.noise).drawn(DRAWS, rng)
    return np.stack([drawn.errors(size) for size in sizes], axis=1)


def _first(sizes: Floats, lasting: Floats, share: float) -> int | None:
    reached = np.flatnonzero(lasting >= share)
    return round(float(sizes[reached[0]])) if len(reached) else None
