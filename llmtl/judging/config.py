"""What a recipe may choose about the judge: the `judge` section, absent by default.

Not covered: which comparisons are judged, which the choice on dev plans.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, model_validator

from llmtl.costs import PriceConfig
from llmtl.engines.openai.config import EndpointConfig

CRITERIA = (
    "The better output does what the instruction asks of this input, leaves out nothing that matters, adds nothing "
    "that the input does not support, and reads clearly. Other words than those of a reference are no fault."
)
_PRICES = ("usd_per_million_prompt_tokens", "usd_per_million_cached_tokens", "usd_per_million_completion_tokens")
_ASKED = {"base_url", "model", "temperature", "max_examples", "criteria", "show_references", "max_output_tokens"}


class JudgeConfig(EndpointConfig):
    """A model that is asked which of two outputs is better, at most so often and at most so dearly."""

    model: str = Field(min_length=1, description="The judge's name at the endpoint.")
    max_examples: int = Field(
        default=200,
        ge=1,
        description="The judge reads the outputs for at most so many test examples, drawn by the recipe's seed. With "
        "200 decisive ones a true win rate of 0.6 is shown with 79% power (two-sided sign test at 0.05).",
    )
    criteria: str = Field(default=CRITERIA, min_length=1, description="What makes an output the better one.")
    show_references: bool = Field(
        default=True,
        description="Whether the judge sees the references too: a reference guides a judge that could not solve the "
        "task itself (Zheng et al. 2023, section 3.4).",
    )
    max_output_tokens: int = Field(
        default=64, ge=1, description="The most tokens of a reply; more for models that think before they answer."
    )
    price: str | None = Field(
        default=None, description="The judge, by its name in llmtl's price table, for the prices that are not given."
    )
    usd_per_million_prompt_tokens: float = Field(
        ge=0, description="USD for a million prompt tokens; 0 for a server of your own."
    )
    usd_per_million_completion_tokens: float = Field(ge=0, description="USD for a million tokens that the judge wrote.")
    usd_per_million_cached_tokens: float | None = Field(
        default=None, ge=0, description="USD for a million prompt tokens from the provider's cache; by default as any."
    )

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, values: Any) -> Any:
        """Return the values with the prices of the named entry where none is given."""
        if not isinstance(values, Mapping) or not values.get("price"):
            return values
        given = {name: values.get(name) for name in _PRICES}
        found = PriceConfig.model_validate({**given, "hosted": values["price"]})
        return {**values, **{name: getattr(found, name) for name in _PRICES}}

    def prices(self) -> PriceConfig:
        """Write the prices of the judge's tokens in the form that hosted models have."""
        return PriceConfig.model_validate({name: getattr(self, name) for name in _PRICES})

    def asked(self) -> dict[str, Any]:
        """List the choices that the judge's answers and their cost depend on; limits do not count among them."""
        return self.model_dump(mode="json", include={*_ASKED, *_PRICES})
