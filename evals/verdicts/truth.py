"""Find what is right in a world: the strategy to use, regret, false adopts, and whether test can answer at all."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from worlds import Floats, World

from llmtl.task import Metric

SAME = 1e-9
"""True scores closer than this are equal."""
ANSWERS, ABSTAINS = 0.8, 0.5
"""Power from which a verdict should answer, and below which it should abstain."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(101)


@dataclass(frozen=True)
class Verdict:
    """What a rule said (`adopt`, `tie`, `baseline`, `inconclusive`), what to use, and what it claims to beat."""

    verdict: str
    winner: int
    beaten: tuple[int, ...] = ()
    chosen: int | None = None


@dataclass(frozen=True)
class Judged:
    """One verdict against the truth; regrets in points."""

    verdict: str
    claimed: bool
    strict: bool
    baseline_only: bool
    false_baseline: bool
    regret: float
    raw_regret: float
    charged: float
    dearer: bool
    winner: int
    chosen: int | None

    @property
    def abstained(self) -> bool:
        """Whether the verdict is `inconclusive` or `tie`."""
        return self.verdict in ("inconclusive", "tie")


def judge(world: World, said: Verdict, margin: float) -> Judged:
    """Judge one verdict against the truth."""
    truth, winner, cost = world.truth, said.winner, world.usd_total
    adopted = said.verdict == "adopt"
    rivals = (cost < cost[winner]) & (np.arange(len(truth)) != winner)
    best = truth.max()
    raw = best - truth[winner]
    dearer = bool(cost[winner] > cost[right_strategy(world, margin)])
    excused = cost[winner] < cost[truth >= best - SAME].min() and raw <= margin + SAME
    return Judged(
        verdict=said.verdict,
        claimed=adopted and any(not_better(truth, winner, other) for other in said.beaten),
        strict=adopted and bool((truth[winner] <= truth[rivals | world.is_baseline] + SAME).any()),
        baseline_only=adopted and bool((truth[winner] <= truth[world.is_baseline] + SAME).any()),
        false_baseline=said.verdict == "baseline" and truth[~world.is_baseline].max() - truth[winner] > margin + SAME,
        regret=0.0 if excused else 100 * float(raw),
        raw_regret=100 * float(raw),
        charged=100 * float(raw + margin * dearer),
        dearer=dearer,
        winner=winner,
        chosen=said.chosen,
    )


def not_better(truth: Floats, a: int, b: int) -> bool:
    """Tell whether a is truly not better than b."""
    return bool(truth[a] <= truth[b] + SAME)


def right_strategy(world: World, margin: float) -> int:
    """Find the cheapest strategy truly within the margin of the best."""
    within = np.flatnonzero(world.truth >= world.truth.max() - margin - SAME)
    return int(within[np.argmin(world.usd_total[within])])


def llm_is_better(world: World) -> bool:
    """Tell whether some language-model strategy is truly better than the best baseline; yes where there is none."""
    if not world.is_baseline.any():
        return True
    return bool(world.truth[~world.is_baseline].max() > world.truth[world.is_baseline].max() + SAME)


def is_spread_out(world: World) -> bool:
    """Tell whether at least half of the strategies lie 10 points or more below the best."""
    return bool((world.truth <= world.truth.max() - 0.10).mean() >= 0.5)


def power(world: World, margin: float, alpha: float) -> float | None:
    """Compute the power of test for the hardest question that the right verdict depends on; None for macro-F1."""
    if world.metric is not Metric.ACCURACY:
        return None
    winner, baselines = right_strategy(world, margin), np.flatnonzero(world.is_baseline)
    others = np.flatnonzero(~world.is_baseline)
    if world.is_baseline[winner]:
        best = int(others[np.argmax(world.truth[others])])
        return _power_not_worth_more(world, best, winner, margin)
    rivals = [int(i) for i in others if world.usd_total[i] < world.usd_total[winner]]
    if len(baselines):
        rivals.append(int(baselines[np.argmax(world.truth[baselines])]))
    if not rivals:
        return None  # the cheapest of all without a baseline: there is no question to settle
    return min(_power_better(world, winner, rival, margin, alpha) for rival in rivals)


def discordance(world: World, a: int, b: int) -> float:
    """Compute the true share of examples that only one of two strategies gets right (accuracy)."""
    # given the shared factor the two are independent: integrate over it
    reach = [
        ndtr((ndtri(world.truth[i]) - np.sqrt(world.latent[i]) * _NODES) / np.sqrt(1 - world.latent[i])) for i in (a, b)
    ]
    both = float(np.sum(_WEIGHTS * reach[0] * reach[1]) / np.sqrt(2 * np.pi))
    return float(world.truth[a] + world.truth[b] - 2 * both)


def _power_better(world: World, a: int, b: int, margin: float, alpha: float) -> float:
    """Compute the chance that a is shown better than b, by an amount that may exceed the margin."""
    difference, error, null_error = _errors(world, a, b)
    least = max(-ndtri(alpha / 2) * null_error, margin + ndtri(0.05) * error)
    return float(ndtr((difference - least) / error))


def _power_not_worth_more(world: World, a: int, b: int, margin: float) -> float:
    """Compute the chance that the one-sided 95% bound of a - b stays within the margin."""
    difference, error, _ = _errors(world, a, b)
    return float(ndtr((margin - difference) / error + ndtri(0.05)))


def _errors(world: World, a: int, b: int) -> tuple[float, float, float]:
    """Compute the true difference, its standard error on test, and that error if there were no difference."""
    difference, apart = float(world.truth[a] - world.truth[b]), discordance(world, a, b)
    return (
        difference,
        float(np.sqrt(max(apart - difference**2, 1e-12) / world.n_test)),
        float(np.sqrt(max(apart, 1e-12) / world.n_test)),
    )
