"""Costs against numbers worked out by hand."""

import pytest
from pydantic import ValidationError

from llmtl.costs import (
    PriceConfig,
    Tokens,
    gpu_hours,
    usd_for_seconds,
    usd_per_1k_requests,
)
from llmtl.errors import RecipeError

PRICES = PriceConfig(usd_per_cpu_hour=0.36, usd_per_gpu_hour=3.6, requests_per_month=1000, months=6)


def test_seconds_cost_their_share_of_the_hour():
    assert usd_for_seconds(1800, device="cuda", prices=PRICES) == pytest.approx(1.8)
    assert usd_per_1k_requests(0.5, device="cpu", prices=PRICES) == pytest.approx(0.05)
    assert usd_per_1k_requests(0.5, device="cuda", prices=PRICES) == pytest.approx(0.5)
    assert gpu_hours(1800, gpus=2) == 1


def test_hosted_models_are_paid_by_the_token_and_cached_ones_less():
    prices = PriceConfig(
        usd_per_million_prompt_tokens=2.0, usd_per_million_cached_tokens=0.5, usd_per_million_completion_tokens=8.0
    )
    tokens = Tokens(prompt=1000, cached=800, completion=10)
    # 200 fresh, 800 cached, 10 written: 400 + 400 + 80 millionths
    assert usd_per_1k_requests(9.0, device="hosted", prices=prices, tokens=tokens) == pytest.approx(0.88)
    no_discount = prices.model_copy(update={"usd_per_million_cached_tokens": None})
    assert usd_per_1k_requests(9.0, device="hosted", prices=no_discount, tokens=tokens) == pytest.approx(2.08)


def test_missing_prices_name_the_cure():
    with pytest.raises(RecipeError, match=r"prices\.usd_per_million_prompt_tokens"):
        usd_per_1k_requests(1.0, device="hosted", prices=PRICES, tokens=Tokens(1, 0, 1))
    with pytest.raises(RecipeError, match="'tpu'; use one of cpu, cuda"):
        usd_for_seconds(1.0, device="tpu", prices=PRICES)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_prices_are_finite_and_not_negative(value):
    with pytest.raises(ValidationError):
        PriceConfig(usd_per_gpu_hour=value)
