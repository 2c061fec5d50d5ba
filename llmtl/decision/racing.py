"""The race on dev: strategies that cannot be chosen any more are not scored on the rest of it.

All strategies are scored on the same blocks of dev, in one random order fixed before. After every block, a strategy is
dropped when it is shown that it cannot be the choice on the *whole* of dev, whatever the remaining examples bring. The
choice (`choice`) has the least expected regret, of which the margin is the most that being dearer can add. So a
strategy is out once another is sure to beat it by more than the margin, or a cheaper one at all. The survivors see all
of dev.

The evidence against a strategy is the mean, over its rivals, of the wealth of anytime-valid bets
(`llmtl.metrics.confidence_sequence`) that the rival is better: by more than the margin or, if it is cheaper, at all.
For the strategy that would be chosen without a race, and for the one with the best score, each wealth is at most 1 in
expectation, so their mean is too: it is never weaker than a union bound over the rivals. Only dropping one of these two
can change the choice, and each is dropped with a probability of at most alpha / 2. So with probability 1 - alpha the
choice is the one that would have been made without a race.

Baselines are never dropped (they cost next to nothing), and neither is the last of the others: test has to show whether
a language model is worth it. What test compares is planned with the dropped too, by the score that they can be expected
to have on all of dev (`choice`), so that the race spares predictions on dev and nothing else. Not covered: metrics that
are not means of example scores, such as macro-F1, for which the caller does not race.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import RunError
from llmtl.metrics.confidence_sequence import Wealth
from llmtl.task import RIGHT_OR_WRONG, Metric

Floats = NDArray[np.float64]
ScoreBlock = Callable[[str, slice], Floats]
Cheaper = Callable[[str, str], bool]
"""Whether the first of two strategies is cheaper for certain."""

RACED = (*RIGHT_OR_WRONG, Metric.ROUGE_L)
"""Metrics that are means of example scores: only those can be raced."""
BLOCK = 50
SURELY_CHEAPER = 2.0
"""By how many times a strategy has to cost less for the race to count on it, going by the time of the first block."""


@dataclass(frozen=True)
class Drop:
    """A dropped strategy: after how many examples, and both mean scores on those.

    `against` is the rival with the most evidence among those that were scored on as many.
    """

    n_seen: int
    against: str
    score: float
    against_score: float


@dataclass(frozen=True)
class Race:
    """How a race ended; `evaluations_used` counts scored examples, of `evaluations_planned` without a race.

    `expected` is the score of each dropped strategy to expect on all of dev: the best survivor's there, plus the mean
    difference between the two on the examples that both saw.
    """

    survivors: tuple[str, ...]
    dropped: Mapping[str, Drop]
    expected: Mapping[str, float]
    evaluations_used: int
    evaluations_planned: int


def _not_known(a: str, b: str) -> bool:
    del a, b
    return False


def race(
    order: Sequence[str],
    score_block: ScoreBlock,
    n: int,
    *,
    block: int = BLOCK,
    alpha: float = 0.05,
    margin: float = 0.02,
    never_drop: Collection[str] = (),
    cheaper: Cheaper = _not_known,
) -> Race:
    """Find which strategies see all n examples of dev and which are dropped on the way.

    `score_block(name, positions)` scores a strategy on the examples at those positions of a *random* order that is the
    same for all, and returns one score from 0 to 1 an example. `cheaper` is asked after the first block, so that what
    that block cost may be looked at. Raises `RunError` for other scores.
    """
    track = _Track(tuple(order), n, margin=margin, alpha=alpha, safe=frozenset(never_drop))
    for start in range(0, n, block):
        positions = slice(start, min(start + block, n))
        scores = {name: _checked(score_block(name, positions), name, positions) for name in track.running}
        if not start:
            track.open(cheaper)
        track.add(scores)
        if positions.stop < n:
            track.drop()
    return Race(tuple(track.running), track.dropped, track.expected(), track.used, n * len(order))


class _Track:
    """The state of a race: the running strategies, the wealth of each rival against each strategy, the scores seen."""

    def __init__(self, names: tuple[str, ...], n: int, *, margin: float, alpha: float, safe: frozenset[str]) -> None:
        self.running = list(names)
        self.dropped: dict[str, Drop] = {}
        self.used = 0
        self._n, self._margin = n, margin
        self._seen: dict[str, list[Floats]] = {name: [] for name in names}
        self._weak = [name for name in names if name not in safe]
        self._wealth: dict[tuple[str, str], Wealth] = {}
        self._logs: dict[tuple[str, str], float] = {}
        self._most = dict.fromkeys(self._weak, -np.inf)
        self._needed = np.log(min(2, len(self._weak)) / alpha) if self._weak else np.inf

    def open(self, cheaper: Cheaper) -> None:
        """Open a bet for every rival against every strategy that may be dropped."""
        for b in self._weak:
            for a in self._seen:
                if a != b:
                    self._wealth[a, b] = Wealth(0.0 if cheaper(a, b) else self._margin, self._n)
        self._logs = dict.fromkeys(self._wealth, 0.0)

    def add(self, scores: Mapping[str, Floats]) -> None:
        """Take in one block of scores of every strategy still running."""
        for name, values in scores.items():
            self._seen[name].append(values)
            self.used += values.size
        for name in self._weak:
            if name in scores:
                self._most[name] = max(self._most[name], self._evidence(name, scores))

    def _evidence(self, name: str, scores: Mapping[str, Floats]) -> float:
        """Return the most that the mean wealth against a strategy came to within this block, as a logarithm."""
        paths = []
        for a, b in self._wealth:
            if b != name:
                continue
            if a in scores:
                path = self._wealth[a, b].add(scores[a] - scores[b])
                self._logs[a, b] = float(path[-1])
            else:
                # the bets of a dropped rival ended when it was dropped; what they won still counts
                path = np.full(scores[name].size, self._logs[a, b])
            paths.append(path)
        return float((np.logaddexp.reduce(paths, axis=0) - np.log(len(paths))).max()) if paths else -np.inf

    def drop(self) -> None:
        """Drop the strategies that the evidence excludes, lowest score first; the last that is not safe stays."""
        beaten = [name for name in self._weak if name in self.running and self._most[name] >= self._needed]
        for name in sorted(beaten, key=self._mean):
            if sum(other not in self.dropped for other in self._weak) > 1:
                self.dropped[name] = self._told(name)
                self.running.remove(name)

    def expected(self) -> dict[str, float]:
        """Return the score to expect on all of dev of each that was dropped."""
        best = np.concatenate(self._seen[max(self.running, key=self._mean)])
        return {
            name: float(np.clip(best.mean() + self._mean(name) - best[: self._count(name)].mean(), 0, 1))
            for name in self.dropped
        }

    def _told(self, name: str) -> Drop:
        seen = self._count(name)
        rivals = [a for a, b in self._wealth if b == name and self._count(a) >= seen]
        strongest = max(rivals, key=lambda a: self._logs[a, name])
        rival = float(np.concatenate(self._seen[strongest])[:seen].mean())
        return Drop(seen, strongest, self._mean(name), rival)

    def _count(self, name: str) -> int:
        return sum(values.size for values in self._seen[name])

    def _mean(self, name: str) -> float:
        return float(np.concatenate(self._seen[name]).mean())


def _checked(scores: Floats, name: str, positions: slice) -> Floats:
    """Return the scores of a block; raises `RunError` unless there is one from 0 to 1 for each example."""
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (positions.stop - positions.start,) or not bool(((values >= 0) & (values <= 1)).all()):
        raise RunError(f"The scores of '{name}' are not one number from 0 to 1 for each example; score it again.")
    return values
