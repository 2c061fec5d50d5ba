"""What each step of a run spent, noted when the step is made or read back: time, devices and paid tokens, no USD.

Not covered: what a sum holds (`llmtl.costs.spending`), making entries (`llmtl.pipeline.ledger_entries`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from llmtl.costs.config import PriceConfig
from llmtl.costs.pricing import Pricing
from llmtl.costs.spending import UNKNOWN, Spending, Spent
from llmtl.costs.usd import NO_TOKENS, Tokens, usd_for_seconds


class WorkKind(StrEnum):
    """What a step was made for; the values are the fields of `Spending`."""

    FITTING = "fitting"
    TRAINING_SEEDS = "training_seeds"
    DEV = "dev"
    TEST = "test"
    LEARNING_CURVES = "learning_curves"
    REFITS = "refits"
    JUDGE = "judge"


@dataclass(frozen=True)
class Entry:
    """What one step spent.

    `seconds` are those of work, waiting for a provider counted for every request, and `machine_seconds` those that
    `devices` machines were held for; None where nobody knows. `tokens` is the sum of what a provider was paid for,
    `stated_usd` what it charged where only that is known.
    """

    work: WorkKind
    seconds: float | None
    machine_seconds: float | None = None
    device: str = "cpu"
    devices: int = 1
    tokens: Tokens = NO_TOKENS
    stated_usd: float | None = None

    def spent(self, prices: PriceConfig) -> Spent:
        """Price the step."""
        if self.seconds is None:
            return UNKNOWN
        if self.stated_usd is not None:
            return Spent(self.seconds, self.stated_usd)
        if self.machine_seconds is None:
            return Spent(self.seconds, None)
        machine = usd_for_seconds(self.machine_seconds, device=self.device, devices=self.devices, prices=prices)
        return Spent(self.seconds, machine + Pricing(prices).tokens(self.tokens))


@dataclass
class Ledger:
    """The entries of a run by step, each step once: what is read back from its folder was made for what is noted first.

    Steps that an earlier, interrupted command finished count as soon as they are read. Not covered: what such a command
    computed of a step that it did not finish.
    """

    entries: dict[str, Entry] = field(default_factory=dict)

    def note(self, step: str, entry: Entry) -> None:
        """Note what a step spent, if it was not noted before."""
        self.entries.setdefault(step, entry)

    def spent(self, work: WorkKind, prices: PriceConfig) -> Spent:
        """Add up what was spent for one kind; unknown where a part is."""
        return _total(item.spent(prices) for item in self.entries.values() if item.work is work)

    def spending(self, prices: PriceConfig) -> Spending:
        """Add up everything by kind."""
        return Spending(**{work.value: self.spent(work, prices) for work in WorkKind})


def _total(parts: Iterable[Spent]) -> Spent:
    return sum(parts, start=Spent())
