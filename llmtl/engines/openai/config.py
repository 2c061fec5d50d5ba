"""How an OpenAI-compatible endpoint is reached and what asking it may take: the part that all recipe sections share.

Not covered: prices, which each section says for itself.
"""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from llmtl.engines.openai.limits import Prices

LOOPBACK_NAME = "localhost"
"""The name that always means this machine, and any name under it (RFC 6761, section 6.3)."""


def on_this_machine(base_url: str) -> bool:
    """Return whether an endpoint has a loopback address: what is sent to it does not leave this machine.

    Other names are not looked up, since they can come to mean another machine. What the server there sends on, a
    forwarded port included, cannot be seen from here.
    """
    host = (urlsplit(base_url).hostname or "").rstrip(".")
    if host == LOOPBACK_NAME or host.endswith(f".{LOOPBACK_NAME}"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class EndpointConfig(BaseModel):
    """A model at an OpenAI-compatible endpoint, and the limits on asking it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    base_url: str = Field(
        default="https://api.openai.com/v1", min_length=1, description="The OpenAI-compatible endpoint."
    )
    model: str | None = Field(default=None, min_length=1, description="The model's name at the endpoint; needed.")
    api_key_env: str | None = Field(
        default="OPENAI_API_KEY", description="The environment variable with the key; null where there is none."
    )
    context_length: int = Field(default=128_000, ge=1, description="The model's context, tokens.")
    max_usd: float | None = Field(
        default=10.0, gt=0, description="Asking stops before it costs more, USD; null for no limit."
    )
    requests_per_minute: float | None = Field(default=None, gt=0, description="The most requests a minute.")
    concurrency: int = Field(default=8, ge=1, le=64, description="Requests under way at once.")
    max_retries: int = Field(default=6, ge=0, description="Tries again after 429, 5xx and lost connections.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="The longest wait for one reply.")
    temperature: float | None = Field(
        default=0.0, ge=0, description="The sampling temperature; null for models that take none."
    )
    token_field: Literal["max_completion_tokens", "max_tokens"] = Field(
        default="max_completion_tokens", description="What the server calls the limit of written tokens."
    )

    @property
    def on_this_machine(self) -> bool:
        """Return whether what is sent to the endpoint stays on this machine (see the function of that name)."""
        return on_this_machine(self.base_url)


@dataclass(frozen=True)
class HostedModel:
    """A model at an endpoint, and on which terms it is asked.

    `endpoint.max_usd` needs `prices`. `top_logprobs` 0 asks for none. `section` is the part of the recipe that errors
    send the reader to.
    """

    endpoint: EndpointConfig
    prices: Prices | None = None
    top_logprobs: int = 0
    section: str = "strategies.hosted"

    @property
    def name(self) -> str:
        """Return the model's name at the endpoint."""
        return self.endpoint.model or ""
