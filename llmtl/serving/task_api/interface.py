"""What a server looks like from outside: its routes, its environment variables, how much one request may bring.

The variables are how limits reach the server, which is another process. Not covered: rates (put a proxy in front), the
model's context length (`llmtl.serving.task_api.conversations`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Self

from pydantic import Field

from llmtl.errors import ServingError

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
PREDICT, TASK, MODELS = "/v1/predict", "/v1/task", "/v1/models"
EMBEDDINGS = "/v1/embeddings"
"""Only where the winner compares texts by vectors."""
HEALTH, READY, LIVE, METRICS = "/health", "/ready", "/live", "/metrics"
PROBES = (HEALTH, READY, LIVE, "/ping")
"""Routes that are asked by whatever address a server has."""
OPENAPI, DOCS = "/openapi.json", "/docs"
OPEN = (*PROBES, METRICS, "/load", "/version")
"""Routes that need no key: probes and monitoring."""

KEEP_ALIVE_SECONDS = 75
"""How long a server keeps an idle connection: longer than clients and proxies do (httpx and vLLM's own default 5, nginx
60), since a connection that both ends close at the same moment costs a request."""

DRAIN_SECONDS = 30
"""How long requests under way may take once a server is told to end; what Kubernetes and Docker wait for by default is
30 and 10 seconds, so manifests say more."""

BUNDLE_VARIABLE, KEY_VARIABLE = "LLMTL_BUNDLE", "VLLM_API_KEY"
_PREFIX = "LLMTL_"


@dataclass(frozen=True)
class RequestLimits:
    """What a request may not exceed; each field is read from `LLMTL_` and its name in capitals.

    1 MiB holds 256 messages of 4,000 characters; 100,000 characters are about 25,000 tokens of English, and what does
    not fit the model's context is refused anyway. What may wait bounds memory; 30 seconds are half of what proxies wait
    by default (nginx 60). Raises `ServingError` for a limit below 1.
    """

    max_body_bytes: Annotated[int, Field(ge=1, description="Bytes of the body.")] = 2**20
    max_inputs: Annotated[int, Field(ge=1, description="Inputs of one /v1/predict request.")] = 256
    max_characters: Annotated[int, Field(ge=1, description="Characters of one message.")] = 100_000
    max_waiting: Annotated[
        int,
        Field(ge=1, description="Inputs that wait at once where vLLM does not run the winner; more get 503."),
    ] = 1024
    max_wait_seconds: Annotated[
        int,
        Field(ge=1, description="Seconds that a request waits for its turn there, before it gets 503."),
    ] = 30

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ServingError(f"The limit {name} is {value}; give at least 1.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the limits that `environment` sets, the defaults elsewhere; raises `ServingError` for no number."""
        given: dict[str, int] = {}
        for field in fields(cls):
            name = _variable(field.name)
            if name in environment:
                given[field.name] = _number(name, environment[name])
        return cls(**given)

    def to_environment(self) -> dict[str, str]:
        """Write the variables from which `from_environment` reads these limits again."""
        return {_variable(name): str(value) for name, value in asdict(self).items()}


OF_A_REQUEST = ("max_body_bytes", "max_inputs", "max_characters")
"""The limits that clients are told, since they can keep to them."""


def _variable(field: str) -> str:
    """Return the environment variable of a field."""
    return _PREFIX + field.upper()


def _number(name: str, text: str) -> int:
    """Return the whole number in `text`."""
    try:
        return int(text)
    except ValueError as error:
        raise ServingError(f"The environment variable {name} is '{text}'; give a whole number.") from error
