"""What training from scratch would cost: the arithmetic, and whose tokens and prices it takes."""

import pytest

from llmtl.costs import PriceConfig
from llmtl.costs.pre_training import from_scratch, tokens_of


def test_the_estimate_is_six_operations_per_weight_and_token():
    found = from_scratch("smollm2", 134_515_008, PriceConfig(gpu="h100"))
    assert found is not None
    operations = 6 * 134_515_008 * 2e12
    assert found.gpu_hours == pytest.approx(operations / (0.4 * 989e12) / 3600)
    assert found.usd == pytest.approx(found.gpu_hours * PriceConfig(gpu="h100").usd_per_gpu_hour)
    assert (found.gpu, found.tokens, found.tokens_from) == ("h100", 2e12, "the card of SmolLM2-135M")


def test_without_stated_tokens_twenty_per_weight_are_taken():
    assert tokens_of("minilm", 22_000_000) == (440_000_000, "20 per weight, as Hoffmann et al. 2022 advise")
    assert tokens_of("meta-llama/Llama-3.1-8B-Instruct", 8)[0] == 15e12
    assert tokens_of("HuggingFaceTB/SmolLM2-1.7B", 8)[0] == 11e12
    assert tokens_of("distilbert-base-uncased", 66_000_000)[0] == 1.32e9


def test_the_gpu_is_the_one_that_is_priced():
    assert from_scratch("x", 10**9, PriceConfig()).gpu == "a10g"
    assert from_scratch("x", 10**9, PriceConfig(gpu="l4")).gpu == "l4"
    assert from_scratch("x", 10**9, PriceConfig(usd_per_gpu_hour=2.5)) is None, "whose GPU that is, is not known"
    named = from_scratch("x", 10**9, PriceConfig(gpu="h100", usd_per_gpu_hour=2.5))
    assert named.usd == pytest.approx(2.5 * named.gpu_hours)
