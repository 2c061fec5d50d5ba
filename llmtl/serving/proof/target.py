"""Talking to a served task over HTTP as any client does: the warm-up, and the requests of checks and measurements.

Not covered: judging the answers (`llmtl.serving.proof.parity`), timing them (`llmtl.serving.proof.load`).
"""

from dataclasses import dataclass, field
from typing import Any

import httpx

from llmtl.errors import ServingError
from llmtl.measured.endpoint import Paid
from llmtl.serving.task_api.interface import METRICS
from llmtl.serving.task_api.paid_metrics import read_paid

_METRICS_SECONDS = 10.0
_NO_KEY = "none"
"""What the `openai` package is given where the server wants no key; it refuses to be given nothing."""


@dataclass(frozen=True)
class LiveEndpoint:
    """A served task: `url` without a slash at its end, the `model` name clients ask for, the API key if one is set."""

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)

    @property
    def openai_url(self) -> str:
        """Write the base URL for `openai` clients."""
        return f"{self.url}/v1"

    @property
    def key(self) -> str:
        """Give what `openai` clients need as their key."""
        return self.api_key or _NO_KEY

    @property
    def headers(self) -> dict[str, str]:
        """Write the headers of a plain HTTP request."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def chat(self, text: str) -> dict[str, Any]:
        """Write the body of a chat request for one input."""
        return {"model": self.model, "messages": [{"role": "user", "content": text}]}


def warm_up(endpoint: LiveEndpoint, text: str, *, seconds: float) -> None:
    """Send one chat request and one predict request, so that the grammar compiler and all routes are loaded.

    Raises `ServingError` when one fails or takes longer than `seconds`.
    """
    with httpx.Client(timeout=seconds, headers=endpoint.headers, trust_env=False) as client:
        _post(client, f"{endpoint.openai_url}/chat/completions", endpoint.chat(text))
        _post(client, f"{endpoint.openai_url}/predict", {"model": endpoint.model, "inputs": [text]})


def paid_so_far(endpoint: LiveEndpoint) -> Paid | None:
    """Ask what the server has paid its provider since it started; None where it cannot be asked."""
    try:
        found = httpx.get(f"{endpoint.url}{METRICS}", timeout=_METRICS_SECONDS, trust_env=False)
    except httpx.HTTPError:
        return None
    return read_paid(found.text) if found.is_success else None


def _post(client: httpx.Client, url: str, body: dict[str, Any]) -> None:
    try:
        response = client.post(url, json=body)
    except httpx.TimeoutException:
        raise ServingError("its first answer took too long") from None
    except httpx.HTTPError as error:
        raise ServingError(f"its first request failed ({error})") from None
    if response.is_error:
        raise ServingError(f"its first request failed ({response.status_code}: {reason(response)})")


def reason(response: httpx.Response) -> str:
    """Read the message of an error in OpenAI format, or the start of the body."""
    try:
        return str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return response.text[:200]
