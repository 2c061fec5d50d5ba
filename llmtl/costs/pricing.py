"""From what was measured to money: the only place where seconds, tokens and devices meet the recipe's prices.

Requests on your own hardware are paid as whole machines, by the hour for all hours of the month: as many as the peak
needs, at least one. With `prices.billing: serverless` they are paid by the second of use instead. What a provider
charges is tokens times price, so that its bill follows a change of price too. Not covered: measuring; that a machine is
faster or slower than the one that was measured; what serverless functions take to start.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmtl.costs.config import Billing, PriceConfig
from llmtl.costs.usd import (
    HOURS_PER_MONTH,
    NO_TOKENS,
    SECONDS_PER_HOUR,
    Tokens,
    usd_for_seconds,
    usd_per_1k_requests,
    usd_per_hour,
    usd_per_second,
)
from llmtl.costs.volume import Running

HOSTED = "hosted"
"""The device of a model at its provider."""


@dataclass(frozen=True)
class StatedCost:
    """What somebody else says that a strategy costs, in USD: it is not a measurement, and no price here changes it.

    Prediction files state the cost of a request, and a run of before kept what its provider had charged for fitting.
    """

    usd_per_request: float | None = None
    usd_fitting: float | None = None


class Usage(Protocol):
    """What a strategy was measured to use; None where it was not measured.

    `seconds` is what `n` requests took together on `devices` machines of the kind `device`; the tokens are means of one
    request; `fitting_tokens` is the sum over all that a provider was asked while fitting.
    """

    @property
    def n(self) -> int:
        """The number of requests."""

    @property
    def seconds(self) -> float | None:
        """Wall-clock seconds of all requests."""

    @property
    def train_seconds(self) -> float | None:
        """Wall-clock seconds of fitting."""

    @property
    def device(self) -> str:
        """`cpu`, `cuda` or `hosted`."""

    @property
    def devices(self) -> int:
        """How many of them."""

    @property
    def prompt_tokens_per_request(self) -> float:
        """Tokens read."""

    @property
    def cached_tokens_per_request(self) -> float:
        """Of these, tokens that were found in a cache."""

    @property
    def completion_tokens_per_request(self) -> float:
        """Tokens written."""

    @property
    def fitting_tokens(self) -> Tokens:
        """Tokens that a provider was paid for while fitting."""

    @property
    def stated(self) -> StatedCost | None:
        """What somebody else says."""

    @property
    def members(self) -> "Sequence[Usage]":
        """What each member of a composed strategy used, of all requests; then that is priced, and their sum taken."""


@dataclass(frozen=True)
class MemberUse:
    """What one member of a composed strategy used for the `n` requests of the whole, those it did not see included.

    So the seconds and tokens of a member that saw a third of the requests are those of that third, spread over all.
    """

    strategy: str
    n: int
    seconds: float | None
    train_seconds: float | None
    device: str = "cpu"
    devices: int = 1
    prompt_tokens_per_request: float = 0.0
    cached_tokens_per_request: float = 0.0
    completion_tokens_per_request: float = 0.0
    fitting_tokens: Tokens = NO_TOKENS
    stated: StatedCost | None = None
    peak_memory_gib: float | None = None

    @property
    def members(self) -> Sequence[Usage]:
        """Nothing: a member is not itself composed."""
        return ()


@dataclass(frozen=True)
class Pricing:
    """A recipe's prices, applied."""

    prices: PriceConfig

    def running(self, used: Usage, *, slower: float = 1.0) -> Running | None:
        """Price answering at any volume; None where it is not known. Seconds count `slower` times.

        The members of a composed strategy share a machine, with a GPU where one of them needs it: one server runs both.
        """
        parts = (used,) if _stated(used) is not None else used.members or (used,)
        own = [part for part in parts if _needs_machine(part)]
        if any(part.seconds is None for part in own):
            return None
        paid = sum((self._per_request(part) for part in parts if not _needs_machine(part)), start=0.0)
        if self.prices.billing is Billing.SERVERLESS:
            return Running(paid + sum(self._serverless(part, slower) for part in own))
        if not own:
            return Running(paid)
        busiest = max(own, key=lambda part: usd_per_hour(part.device, prices=self.prices, devices=part.devices))
        hourly = usd_per_hour(busiest.device, prices=self.prices, devices=busiest.devices)
        each = slower * sum(_seconds_per_request(part) for part in own)
        return Running(paid, HOURS_PER_MONTH * hourly, requests_per_machine(each, self.prices))

    def per_1k(self, used: Usage) -> float | None:
        """Price 1,000 requests at the recipe's volume, idle machines included, USD; None where it is not known."""
        running = self.running(used)
        return None if running is None else running.usd_per_1k(self.prices.requests_per_month)

    def per_month(self, used: Usage, *, slower: float = 1.0) -> float | None:
        """Price one month of the recipe's volume, USD; None where it is not known."""
        running = self.running(used, slower=slower)
        return None if running is None else running.usd_per_month(self.prices.requests_per_month)

    def per_1k_at_full_use(self, used: Usage) -> float | None:
        """Price what 1,000 requests take of machines without idle time, and their tokens, USD."""
        if (stated := _stated(used)) is not None:
            return 1000 * stated
        if used.members:
            return _sum(self.per_1k_at_full_use(member) for member in used.members)
        if used.seconds is None:
            return None
        each = used.seconds / used.n
        return usd_per_1k_requests(
            each, device=used.device, devices=used.devices, prices=self.prices, tokens=_tokens(used)
        )

    def fitting(self, used: Usage) -> float | None:
        """Price fitting, once, USD; None where it is not known."""
        if used.stated is not None and used.stated.usd_fitting is not None:
            return used.stated.usd_fitting
        if used.members:
            return _sum(self.fitting(member) for member in used.members)
        if used.train_seconds is None:
            return None
        machine = usd_for_seconds(used.train_seconds, device=used.device, devices=used.devices, prices=self.prices)
        return machine + self.tokens(used.fitting_tokens)

    def tokens(self, paid: Tokens) -> float:
        """Price tokens that a provider was paid for, USD; raises `RecipeError` where it has no prices."""
        return (
            0.0
            if paid == NO_TOKENS
            else usd_per_1k_requests(0.0, device="hosted", prices=self.prices, tokens=paid) / 1000
        )

    def horizon(self, used: Usage, *, slower: float = 1.0) -> float | None:
        """Price all requests over the horizon, USD; None where it is not known. Seconds count `slower` times."""
        month = self.per_month(used, slower=slower)
        return None if month is None else month * self.prices.months

    def total(self, used: Usage) -> float | None:
        """Price fitting and all requests over the horizon, USD; None where one of the two is not known."""
        return _sum((self.fitting(used), self.horizon(used)))

    def _per_request(self, used: Usage) -> float:
        """Price a request that needs no machine of your own: what somebody states, or tokens."""
        stated = _stated(used)
        return self.tokens(_tokens(used)) if stated is None else stated

    def _serverless(self, used: Usage, slower: float) -> float:
        """Price the seconds of one request, paid by use."""
        second = usd_per_second(used.device, prices=self.prices, devices=used.devices)
        return slower * _seconds_per_request(used) * second


def requests_per_machine(seconds_per_request: float, prices: PriceConfig) -> float:
    """Count the requests of a month that one machine carries: at the peak it is loaded up to the target utilisation.

    A month of N requests has a peak of N x peak factor / (730 x 3600) requests per second.
    """
    if seconds_per_request <= 0:
        return math.inf
    return prices.utilisation * HOURS_PER_MONTH * SECONDS_PER_HOUR / (prices.peak_factor * seconds_per_request)


def _needs_machine(used: Usage) -> bool:
    return _stated(used) is None and used.device != HOSTED


def _stated(used: Usage) -> float | None:
    return None if used.stated is None else used.stated.usd_per_request


def _seconds_per_request(used: Usage) -> float:
    return (used.seconds or 0.0) / used.n


def _tokens(used: Usage) -> Tokens:
    return Tokens(used.prompt_tokens_per_request, used.cached_tokens_per_request, used.completion_tokens_per_request)


def _sum(parts: Iterable[float | None]) -> float | None:
    """Add up what is known; None where a part is not."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
