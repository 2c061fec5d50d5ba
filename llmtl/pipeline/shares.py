"""Which part of the time for fitting each strategy may take, so that none takes another's.

Strategies that need little time get all of it, and are fitted first; the others share by weight what is then left. Time
for further draws is held back for as many strategies as are drawn again, the longest of them. Not covered: how long
fitting takes (`llmtl.pipeline.forecasts`), what the stages after it take (`llmtl.pipeline.budget`).
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

FINALISTS = 2
"""How many strategies of which a draw matters are drawn again: the choice, and the runner-up or the best of the others
(`llmtl.decision.choice.plan`). One that adapts less may be a third, and a chosen cascade adds its members: seldom ones
whose draws take long."""
LEAST = 0.5
"""The part of its share by weight that a strategy with less than it needs gets at least: others may overrun."""
_HALVINGS = 80


@dataclass(frozen=True)
class Claim:
    """What a strategy asks of the time for fitting.

    `weight` is its share beside those of the others, `fits` how often it is fitted where it becomes a finalist, in
    first fits. `needs` is the forecast of one fit in seconds; None where that is not known: it may need any time.
    """

    weight: float
    fits: float = 1.0
    needs: float | None = None

    @property
    def most(self) -> float:
        """Give what it may need, in seconds."""
        return math.inf if self.needs is None else self.needs


def share_out(seconds: float, claims: Mapping[str, Claim], *, held: Sequence[float] = ()) -> dict[str, float]:
    """Divide the time; returns the seconds of one fit of each.

    Strategies with the smallest needs get all they need, as long as every other could be given as much. The rest share
    what is left by weight, none more than it needs. What is left when all needs are met is shared by weight, since
    forecasts may be wrong. `held` are the seconds of further draws of strategies that were fitted already.
    """

    def fits(given: Mapping[str, float]) -> bool:
        again = sorted([*held, *((claims[name].fits - 1) * each for name, each in given.items())], reverse=True)
        return sum(given.values()) + sum(again[:FINALISTS]) <= seconds

    filled: dict[str, float] = {}
    for name in sorted(claims, key=lambda each: claims[each].most):
        level = claims[name].most
        if math.isinf(level) or not fits({each: min(level, claims[each].most) for each in claims}):
            break
        filled[name] = level
    limited = [name for name in claims if name not in filled]
    if not limited:
        return _risen(lambda level: {name: claim.most + level * claim.weight for name, claim in claims.items()}, fits)
    return _risen(
        lambda level: filled | {name: min(claims[name].most, level * claims[name].weight) for name in limited}, fits
    )


def _risen(given: Callable[[float], dict[str, float]], fits: Callable[[Mapping[str, float]], bool]) -> dict[str, float]:
    """Raise the level as far as it fits, by bisection; level 0 where no higher one does."""
    low, high = 0.0, 1.0
    while fits(given(high)) and high < 1e12:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(given(middle)) else (low, middle)
    return given(low)


@dataclass
class FitTimes:
    """The time for fitting as it is used up: each fit is given its share of what is left.

    A strategy whose need is met has the share of its weight where that is more, so that its forecast, where too short,
    does not cut it below that share. `order` lists the strategies as they are fitted, the largest needs last.
    """

    seconds: float
    claims: Mapping[str, Claim]
    _used: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _given: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _lost: float = field(default=0.0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_weight = share_out(self.seconds, {name: _unknown(claim) for name, claim in self.claims.items()})
        self.planned = {name: self._at_least(name, each) for name, each in self._shares().items()}

    def order(self, names: Iterable[str]) -> list[str]:
        """Sort by need: those without a limit, whose time is not planned, then the smallest first; in turn else."""
        return sorted(names, key=lambda name: self.claims[name].most if name in self.claims else -1.0)

    def limit(self, name: str) -> float | None:
        """Say how many seconds fitting a strategy once may take, or what it was given before; None for no limit."""
        if name not in self.claims:
            return None
        if name not in self._given:
            self._given[name] = self._at_least(name, self._shares()[name])
        return self._given[name]

    def fitted(self, name: str, *, used: float, limit: float | None) -> None:
        """Take off what a fit has used, in this run or before, and hold back its further draws; count it once."""
        if name in self._used:
            return
        self._used[name] = used
        if name in self.claims:
            self._given[name] = self._by_weight[name] if limit is None else limit

    def again(self, name: str) -> None:
        """Give up what a fit has made: its time is gone, and the next one is that whose draws are held back for."""
        self._lost += self._used.pop(name)

    def spare(self, name: str, left: float, rivals: Collection[str]) -> float:
        """Say how long one that was fitted could be fitted again, with its further draws, when all have fitted.

        `left` seconds are left of the run for that and for draws, also of the `rivals` that may become finalists.
        """
        drawn = [each for each in self._used if each in self.claims and each in rivals and each != name]
        others = [(self.claims[each].fits - 1) * self._used[each] for each in drawn]
        longest = sorted([*others, 0.0, 0.0], reverse=True)[:FINALISTS]
        # its own draws are held back for, too, in place of the shortest of those, where they are longer
        return max(0.0, min(left - sum(longest), (left - sum(longest[:-1])) / self.claims[name].fits))

    def _shares(self) -> dict[str, float]:
        """Divide what is left among the strategies that are not fitted yet."""
        waiting = {name: claim for name, claim in self.claims.items() if name not in self._used}
        held = [(self.claims[name].fits - 1) * used for name, used in self._used.items() if name in self.claims]
        return share_out(max(0.0, self.seconds - self._lost - sum(self._used.values())), waiting, held=held)

    def _at_least(self, name: str, given: float) -> float:
        full = given >= self.claims[name].most * (1 - 1e-9)
        return max(given, self._by_weight[name] * (1.0 if full else LEAST))


def _unknown(claim: Claim) -> Claim:
    return replace(claim, needs=None)
