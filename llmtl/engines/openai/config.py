"""How to reach an OpenAI-compatible endpoint, and the limits on asking it: shared by all recipe sections.

Not covered: prices, which stand in each section.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from llmtl.engines.openai.limits import Prices
from llmtl.redaction import keep_secret, secret_in

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
LOOPBACK_NAME = "localhost"
"""The name that always means this machine, and any name under it (RFC 6761, section 6.3)."""


def on_this_machine(base_url: str) -> bool:
    """Say whether an endpoint has a loopback address: what is sent to it does not leave this machine.

    Other names are not looked up, since they can come to mean another machine. We cannot
    see what the server there sends on, for example through a forwarded port.
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
    model: str | None = Field(default=None, min_length=1, description="The model's name at the endpoint; required.")
    api_key_env: str | None = Field(
        default="OPENAI_API_KEY", description="The environment variable with the key; null if the server wants no key."
    )
    context_length: int = Field(default=128_000, ge=1, description="The model's context in tokens.")
    max_usd: float | None = Field(
        default=10.0, gt=0, description="Stop before asking costs more than this, USD; null for no limit."
    )
    requests_per_minute: float | None = Field(default=None, gt=0, description="The most requests per minute.")
    concurrency: int = Field(default=8, ge=1, le=64, description="The most requests under way at once.")
    max_retries: int = Field(default=6, ge=0, description="Retries after 429, 5xx and lost connections.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="The longest wait for one reply, seconds.")
    temperature: float | None = Field(
        default=0.0, ge=0, description="The sampling temperature; null for models that do not take one."
    )
    token_field: Literal["max_completion_tokens", "max_tokens"] = Field(
        default="max_completion_tokens", description="The server's name for the limit of written tokens."
    )

    @field_validator("base_url")
    @classmethod
    def _without_key(cls, given: str) -> str:
        """Refuse an address with a key or a password in it: addresses are printed, and stored in runs and bundles."""
        held = secret_in(given)
        if held is not None:
            raise ValueError(f"holds {held}, and addresses are printed and stored; give the key by api_key_env")
        return given

    @field_validator("api_key_env")
    @classmethod
    def _a_name(cls, given: str | None) -> str | None:
        """Refuse the key itself, pasted in place of the name of its variable."""
        if given is not None and not _VARIABLE.fullmatch(given):
            keep_secret(given)
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, not the key itself")
        return given

    @property
    def on_this_machine(self) -> bool:
        """Whether what is sent to the endpoint stays on this machine (see the function of that name)."""
        return on_this_machine(self.base_url)


@dataclass(frozen=True)
class HostedModel:
    """A model at an endpoint, and the terms of asking it.

    `endpoint.max_usd` needs `prices`. `top_logprobs` 0 asks for none. `section` is the part of the recipe that errors
    send the reader to.
    """

    endpoint: EndpointConfig
    prices: Prices | None = None
    top_logprobs: int = 0
    section: str = "strategies.hosted"

    @property
    def name(self) -> str:
        """The model's name at the endpoint, such as `gpt-4o-mini`; empty if the recipe has none."""
        return self.endpoint.model or ""
