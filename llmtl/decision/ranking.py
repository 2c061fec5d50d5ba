"""Which of several strategies is the cheapest, and which scored best.

Not covered: whether a difference between them is real (`choice`, `verdict`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from llmtl.costs import CostLine, PriceConfig, Pricing, cost_of_load, noise_between
from llmtl.measured.evaluation import Evaluation
from llmtl.strategy import LOOKS, Role
from llmtl.task import Metric

COST_NOISE = 0.10
"""Costs closer than this share count as equal, however exactly they are known: nobody changes a model for less."""


@dataclass(frozen=True)
class Ranking:
    """The dev evaluations in table order, with the metric and the prices that order them.

    `expected` replaces the score of those that left the race, whose evaluation is of a part of dev.
    """

    evaluations: tuple[Evaluation, ...]
    metric: Metric
    prices: PriceConfig
    expected: Mapping[str, float] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Evaluation:
        """Find the dev evaluation of a strategy."""
        return next(item for item in self.evaluations if item.strategy == name)

    def names(self, *, baseline: bool | None = None, among: Iterable[str] | None = None) -> list[str]:
        """List strategy names in table order: all, the baselines or the others; and only those `among`."""
        allowed = None if among is None else set(among)
        return [
            item.strategy
            for item in self.evaluations
            if (baseline is None or (item.role is Role.BASELINE) == baseline)
            and (allowed is None or item.strategy in allowed)
        ]

    def is_baseline(self, name: str) -> bool:
        """Say whether a strategy is a baseline."""
        return self[name].role is Role.BASELINE

    def score(self, name: str) -> float:
        """Give the decision metric on dev, of those that left the race the expected one."""
        return self.expected.get(name, self[name].scores[self.metric.value].value)

    def within(self, name: str, best: str, margin: float) -> bool:
        """Say whether a strategy scored on dev at most the margin below another one."""
        return self.score(best) - self.score(name) <= margin + 1e-12

    def usd_per_1k(self, name: str) -> float | None:
        """Give the USD of 1,000 requests; None where it is not known."""
        return Pricing(self.prices).per_1k(self[name])

    def usd_fitting(self, name: str) -> float | None:
        """Give the USD of fitting; None where it is not known."""
        return Pricing(self.prices).fitting(self[name])

    def usd_total(self, name: str, *, slower: float = 1.0) -> float:
        """Add up training and requests over the horizon, USD; what was not measured counts as nothing.

        Seconds of requests count `slower` times: a machine that is far from full costs the same for all that.
        """
        return (self.usd_fitting(name) or 0.0) + (Pricing(self.prices).horizon(self[name], slower=slower) or 0.0)

    def cost_line(self, name: str) -> CostLine | None:
        """Give what a strategy costs at any volume; None where that is not known."""
        fitting, running = self.usd_fitting(name), Pricing(self.prices).running(self[name])
        return None if fitting is None or running is None else CostLine(name, fitting, running)

    def cheapest(self, names: Sequence[str]) -> str:
        """Find the cheapest strategy in all; of those level within noise the simplest role, then the first listed."""
        level = self.names(among=[a for a in names if not any(self.surely_cheaper(b, a) for b in names)])
        return min(level, key=lambda name: LOOKS[self[name].role].simplicity)

    def surely_cheaper(self, a: str, b: str) -> bool:
        """Say whether a costs less than b in all by more than the noise and the load that their costs rest on."""
        slowest = self.usd_total(a, slower=1 + noise_between(self[a], self[b]))
        least = self.usd_total(b, slower=1 - cost_of_load(self[b]))
        return max(slowest, self.usd_total(a) * (1 + COST_NOISE)) < least

    def cheaper(self, a: str, b: str) -> bool:
        """Say whether a is cheaper than b, or as cheap within noise and of a simpler role."""
        simpler = LOOKS[self[a].role].simplicity < LOOKS[self[b].role].simplicity
        return self.surely_cheaper(a, b) or (simpler and not self.surely_cheaper(b, a))

    def may_be_cheaper(self, a: str, b: str) -> bool:
        """Say whether a is cheaper than b, or may be for all that is known of their costs.

        What noise or load leaves open counts for a: that a costs no less was then not shown.
        """
        if a == b or any(self.usd_per_1k(name) is None for name in (a, b)):
            return a != b
        noise = noise_between(self[a], self[b])
        least = self.usd_total(a, slower=(1 - cost_of_load(self[a])) / (1 + noise))
        return self.cheaper(a, b) or least * (1 + COST_NOISE) < self.usd_total(b)

    def best(self, names: Sequence[str]) -> str | None:
        """Find the strategy with the highest dev score, the cheapest of equal ones; None of no names."""
        if not names:
            return None
        top = max(self.score(name) for name in names)
        return self.cheapest([name for name in names if self.score(name) >= top - 1e-12])
