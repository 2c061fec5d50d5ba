"""Which part of the time for fitting each strategy may take, so that none takes another's.

By weight, but nobody holds more than it needs while others need more; and what one leaves over goes to those after it.
Not covered: how long fitting takes (`llmtl.pipeline.forecasts`), the rest of the budget (`llmtl.pipeline.budget`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Claim:
    """What a strategy asks of the time for fitting.

    `weight` is its share beside those of the others, `fits` how often it is fitted where it becomes a finalist, in
    first fits. `needs` is the forecast of one fit in seconds; None where that is not known: it may need any time.
    """

    weight: float
    fits: float = 1.0
    needs: float | None = None


def share_out(seconds: float, claims: Mapping[str, Claim]) -> dict[str, float]:
    """Divide the time; returns the seconds of one fit of each.

    Water is poured into vessels as wide as the weights until it is used up; one that is full takes no more. What is
    left when all are full is shared by weight again, since forecasts may be wrong.
    """
    if not claims:
        return {}
    left, given = seconds, dict.fromkeys(claims, 0.0)
    limited = {name: claim.needs for name, claim in claims.items() if claim.needs is not None}
    filling = set(claims)
    for name in sorted(limited, key=lambda each: limited[each] / claims[each].weight):
        level = left / _width(claims, filling)
        if limited[name] > level * claims[name].weight:
            break
        given[name] = limited[name]
        left -= limited[name] * claims[name].fits
        filling.discard(name)
    hungry = filling or set(claims)
    level = left / _width(claims, hungry)
    return {name: given[name] + (level * claim.weight if name in hungry else 0.0) for name, claim in claims.items()}


def _width(claims: Mapping[str, Claim], names: set[str]) -> float:
    return sum(claims[name].weight * claims[name].fits for name in names)


class FitTimes:
    """The time for fitting as it is used up: each fit is given its share of what is left, never less than by weight.

    So a forecast that was too short cuts nobody who keeps to the share of its weight.
    """

    def __init__(self, seconds: float, claims: Mapping[str, Claim]) -> None:
        self._by_weight = share_out(seconds, {name: replace(claim, needs=None) for name, claim in claims.items()})
        self.planned = {name: max(self._by_weight[name], given) for name, given in share_out(seconds, claims).items()}
        self._left = seconds
        self._waiting = dict(claims)
        self._given: dict[str, float] = {}

    def limit(self, name: str) -> float | None:
        """Say how many seconds fitting a strategy once may take, or what it was given before; None for no limit."""
        if name not in self.planned:
            return None
        if name not in self._given:
            self._given[name] = max(self._by_weight[name], share_out(max(0.0, self._left), self._waiting)[name])
        return self._given[name]

    def fitted(self, name: str, *, used: float, limit: float | None) -> None:
        """Take off what a fit has used, in this run or before, and what fitting it again may take; count it once."""
        claim = self._waiting.pop(name, None)
        if claim is None:
            return
        self._given[name] = self._by_weight[name] if limit is None else limit
        self._left -= used * claim.fits
