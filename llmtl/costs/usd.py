"""Tokens and seconds at the recipe's prices: USD per 1,000 requests, totals, break-even.

A request on own hardware costs its share of the machine's hourly price at full use: seconds per request at the
measured throughput. Not covered: idle machines, networks, staff, and discounts.
"""

from dataclasses import dataclass
from typing import Literal

from llmtl.costs.config import PriceConfig
from llmtl.costs.token_prices import token_prices
from llmtl.errors import RecipeError

Device = Literal["cpu", "cuda", "hosted"]
"""Where a request runs; `hosted` is somebody else's endpoint, paid by the token."""

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Tokens:
    """Tokens: means of one request, or sums; `cached` are those of `prompt` that came from a prefix cache."""

    prompt: float = 0.0
    cached: float = 0.0
    completion: float = 0.0


NO_TOKENS = Tokens()


def usd_for_seconds(seconds: float, *, device: Device | str, prices: PriceConfig, devices: int = 1) -> float:
    """Price `seconds` of a machine, USD, on a GPU of one machine per device; a hosted model's cost nothing."""
    hourly = {"cpu": prices.usd_per_cpu_hour, "cuda": prices.usd_per_gpu_hour, "hosted": 0.0}
    if device not in hourly:
        raise RecipeError(f"There is no price for device '{device}'; use one of {', '.join(hourly)}.")
    return seconds / SECONDS_PER_HOUR * hourly[device] * (devices if device == "cuda" else 1)


def usd_per_1k_requests(
    seconds_per_request: float,
    *,
    device: Device | str,
    prices: PriceConfig,
    tokens: Tokens | None = None,
    devices: int = 1,
) -> float:
    """Price 1,000 requests, USD: machine time at the measured throughput, or tokens when `device` is `hosted`.

    Raises `RecipeError` for a hosted model without token prices.
    """
    if device == "hosted":
        asked = tokens or Tokens()
        return 1000 * token_prices(prices).usd(prompt=asked.prompt, cached=asked.cached, completion=asked.completion)
    return 1000 * usd_for_seconds(seconds_per_request, device=device, prices=prices, devices=devices)


def usd_total(train_usd: float, usd_per_1k: float, prices: PriceConfig) -> float:
    """Add up training and all requests over the horizon, USD."""
    return train_usd + usd_per_1k * prices.requests / 1000


def known_total(train_usd: float | None, usd_per_1k: float | None, prices: PriceConfig) -> float | None:
    """Add up training and all requests over the horizon, USD; None where one of the two is not known."""
    return None if train_usd is None or usd_per_1k is None else usd_total(train_usd, usd_per_1k, prices)


def gpu_hours(seconds: float, *, gpus: int) -> float:
    """Turn wall-clock seconds on a number of GPUs into GPU-hours."""
    return seconds * gpus / SECONDS_PER_HOUR


def break_even(fixed_a: float, per_request_a: float, *, fixed_b: float, per_request_b: float) -> float | None:
    """Find the number of requests at which a and b cost the same in all; None where one is cheaper at every volume.

    fixed_a + n per_request_a = fixed_b + n per_request_b, for n > 0. All in USD.
    """
    if (fixed_a - fixed_b) * (per_request_b - per_request_a) <= 0:
        return None
    return (fixed_a - fixed_b) / (per_request_b - per_request_a)
