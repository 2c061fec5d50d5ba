"""From what was measured to money: the only place where seconds, tokens and devices meet the recipe's prices.

What a provider charges is tokens times price, so that its bill follows a change of price too. Not covered: measuring.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llmtl.costs.config import PriceConfig
from llmtl.costs.usd import NO_TOKENS, Tokens, known_total, usd_for_seconds, usd_per_1k_requests


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

    def per_1k(self, used: Usage) -> float | None:
        """Price 1,000 requests, USD; None where it is not known."""
        if used.stated is not None and used.stated.usd_per_request is not None:
            return 1000 * used.stated.usd_per_request
        if used.members:
            return _sum(self.per_1k(member) for member in used.members)
        if used.seconds is None:
            return None
        tokens = Tokens(
            used.prompt_tokens_per_request, used.cached_tokens_per_request, used.completion_tokens_per_request
        )
        each = used.seconds / used.n
        return usd_per_1k_requests(each, device=used.device, devices=used.devices, prices=self.prices, tokens=tokens)

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

    def total(self, used: Usage) -> float | None:
        """Price fitting and all requests over the horizon, USD; None where one of the two is not known."""
        return known_total(self.fitting(used), self.per_1k(used), self.prices)


def _sum(parts: Iterable[float | None]) -> float | None:
    """Add up what is known; None where a part is not."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
