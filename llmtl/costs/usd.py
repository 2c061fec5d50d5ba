"""Tokens and seconds at the recipe's prices: USD per hour, per second, for work, per 1,000 requests at full use.

Not covered: how many machines a volume needs (`llmtl.costs.pricing`), networks, staff, and discounts.
"""

from dataclasses import dataclass
from typing import Literal

from llmtl.costs.config import PriceConfig
from llmtl.costs.token_prices import token_prices
from llmtl.errors import RecipeError

Device = Literal["cpu", "cuda", "hosted"]
"""Where a request runs; `hosted` is somebody else's endpoint, paid by the token."""

SECONDS_PER_HOUR = 3600
HOURS_PER_MONTH = 730
"""365 x 24 / 12: what clouds bill a month of a machine as."""


@dataclass(frozen=True)
class Tokens:
    """Tokens: means of one request, or sums; `cached` are those of `prompt` that came from a prefix cache."""

    prompt: float = 0.0
    cached: float = 0.0
    completion: float = 0.0


NO_TOKENS = Tokens()


def usd_per_hour(device: Device | str, *, prices: PriceConfig, devices: int = 1) -> float:
    """Price one hour of a machine, USD, on a GPU of one machine per device; a hosted model's costs nothing."""
    hourly = {"cpu": prices.usd_per_cpu_hour, "cuda": prices.usd_per_gpu_hour, "hosted": 0.0}
    if device not in hourly:
        raise RecipeError(f"There is no price for device '{device}'; use one of {', '.join(hourly)}.")
    return hourly[device] * (devices if device == "cuda" else 1)


def usd_per_second(device: Device | str, *, prices: PriceConfig, devices: int = 1) -> float:
    """Price one second of use of a serverless machine, USD."""
    each = {"cpu": prices.usd_per_cpu_second, "cuda": prices.usd_per_gpu_second, "hosted": 0.0}
    if device not in each:
        raise RecipeError(f"There is no price for device '{device}'; use one of {', '.join(each)}.")
    return each[device] * (devices if device == "cuda" else 1)


def usd_for_seconds(seconds: float, *, device: Device | str, prices: PriceConfig, devices: int = 1) -> float:
    """Price `seconds` of work on a rented machine, USD."""
    return seconds / SECONDS_PER_HOUR * usd_per_hour(device, prices=prices, devices=devices)


def usd_per_1k_requests(
    seconds_per_request: float,
    *,
    device: Device | str,
    prices: PriceConfig,
    tokens: Tokens | None = None,
    devices: int = 1,
) -> float:
    """Price 1,000 requests at full use, USD: machine time without idling, or tokens when `device` is `hosted`.

    Raises `RecipeError` for a hosted model without token prices.
    """
    if device == "hosted":
        asked = tokens or Tokens()
        return 1000 * token_prices(prices).usd(prompt=asked.prompt, cached=asked.cached, completion=asked.completion)
    return 1000 * usd_for_seconds(seconds_per_request, device=device, prices=prices, devices=devices)


def gpu_hours(seconds: float, *, gpus: int) -> float:
    """Turn wall-clock seconds on a number of GPUs into GPU-hours."""
    return seconds * gpus / SECONDS_PER_HOUR
