"""What the front answers by itself, as bytes: refusals in OpenAI's error format, and how the server is.

Not covered: refusals of the task (`llmtl.serving.task_api.responses`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

BUSY_SECONDS = 1
RESTART_SECONDS = 5
"""What `Retry-After` says where the server is full, and where it has to start."""


class Condition(StrEnum):
    """How the server behind the front is."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"


@dataclass(frozen=True)
class Refusal:
    """A refusal by the front; `retry` is when to try again, in seconds."""

    status: int
    message: str
    code: str
    kind: str = "invalid_request_error"
    retry: int | None = None

    @property
    def error(self) -> dict[str, str | None]:
        """Give the error in OpenAI's format."""
        return {"message": self.message, "type": self.kind, "param": None, "code": self.code}

    def response(self) -> bytes:
        """Write the response, after which the connection ends."""
        headers = {"retry-after": str(self.retry)} if self.retry else {}
        return response(self.status, {"error": self.error}, headers, last=True)


_SERVER = "server_error"
_WAITS = {
    Condition.STARTING: "The server is starting; try again in some seconds.",
    Condition.READY: "The model is not reached; try again in some seconds.",
    Condition.DEGRADED: "The model failed and is being started again; try again in some seconds.",
    Condition.STOPPING: "The server is ending; ask another one, or try again later.",
}
FULL = Refusal(
    503,
    "The server has more connections than it takes; close idle ones, or try again in a second.",
    "too_many_connections",
    _SERVER,
    BUSY_SECONDS,
)
FAILED = Refusal(
    503,
    "The model failed while it worked on this request and is being started again; send it again in some seconds.",
    "engine_failed",
    _SERVER,
    RESTART_SECONDS,
)
TOO_SLOW = Refusal(408, "The request took too long to arrive; send it faster, or in parts.", "request_timeout")
NOT_HTTP = Refusal(400, "This is not an HTTP/1.1 request; send one, without TLS.", "invalid_http")
ONE_BY_ONE = Refusal(
    400, "Requests of one connection must wait for each other's answers; open more connections.", "pipelined"
)
NO_TARGET = Refusal(400, "The address asked for cannot be read; name a path such as /v1/models.", "invalid_target")
ONE_HOST = Refusal(400, "The request must name its host once; send one Host header.", "invalid_host")
LONG_HEADERS = Refusal(431, "The headers are too long; send less than 64 KiB of them.", "headers_too_long")
LONG_FRAMING = Refusal(
    400,
    "The body says more about its pieces than they hold; send it without chunk extensions and trailers.",
    "invalid_http",
)


def waiting(condition: Condition) -> Refusal:
    """Say why nothing can be asked yet."""
    return Refusal(503, _WAITS[condition], "not_ready", _SERVER, RESTART_SECONDS)


def foreign_host(names: str) -> Refusal:
    """Say that a request is addressed to another machine."""
    return Refusal(
        403,
        f"The host '{names:.200}' is not served here; ask 127.0.0.1, or start the server with --allowed-hosts.",
        "host_not_allowed",
        "permission_error",
    )


def state(condition: Condition, *, alive: bool, last: bool, head: bool) -> bytes:
    """Write how the server is; 503 unless it is ready, or unless being `alive` is all that was asked."""
    good = alive or condition is Condition.READY
    headers = {} if good else {"retry-after": str(RESTART_SECONDS)}
    whole = response(200 if good else 503, {"status": condition.value}, headers, last=last)
    return whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if head else whole


def response(status: int, content: object, headers: Mapping[str, str], *, last: bool) -> bytes:
    """Write a response of JSON; after the `last` one the connection ends."""
    body = json.dumps(content, separators=(",", ":")).encode()
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
        *(["connection: close"] if last else []),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
