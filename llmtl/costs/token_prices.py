"""What tokens of a hosted model cost. Not covered: a machine's time (`llmtl.costs.usd`)."""

from dataclasses import dataclass

from llmtl.costs.config import PriceConfig
from llmtl.errors import RecipeError


@dataclass(frozen=True)
class TokenPrices:
    """USD for a million tokens: of a prompt, of the part of a prompt in the provider's cache, written."""

    prompt: float
    cached: float
    completion: float

    def usd(self, *, prompt: float, cached: float, completion: float) -> float:
        """Price one request, USD; `cached` tokens are a part of `prompt`."""
        return ((prompt - cached) * self.prompt + cached * self.cached + completion * self.completion) / 1e6


def token_prices(prices: PriceConfig) -> TokenPrices:
    """Take from the recipe what tokens cost; raises `RecipeError` when it says nothing."""
    prompt, completion = prices.usd_per_million_prompt_tokens, prices.usd_per_million_completion_tokens
    if prompt is None or completion is None:
        raise RecipeError(
            "The hosted model has no price; set prices.usd_per_million_prompt_tokens and "
            "prices.usd_per_million_completion_tokens."
        )
    cached = prices.usd_per_million_cached_tokens
    return TokenPrices(prompt, prompt if cached is None else cached, completion)
