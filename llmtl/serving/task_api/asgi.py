"""The plumbing between ASGI applications: bodies read within a limit, requests made in-process, API keys.

Not covered: what requests mean (`llmtl.serving.task_api.requests`), rewriting responses
(`llmtl.serving.task_api.responses`).
"""

import asyncio
import hashlib
import hmac
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import RequestError, too_big

Header = tuple[bytes, bytes]
T = TypeVar("T")

_REPLACED = (b"content-length", b"content-type", b"transfer-encoding", b"content-encoding")


class DisconnectedError(ConnectionError):
    """The client went away; nobody is left to answer."""


@dataclass(frozen=True)
class WholeResponse:
    """A response in one piece."""

    status: int
    headers: tuple[Header, ...]
    body: bytes

    def with_body(self, body: bytes) -> "WholeResponse":
        """Return the same response with another body."""
        kept = [pair for pair in self.headers if pair[0].lower() != b"content-length"]
        return replace(self, headers=(*kept, (b"content-length", b"%d" % len(body))), body=body)

    async def deliver(self, send: Send) -> None:
        """Send this response."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body})


class ApiKey:
    """The key that clients must send, compared in constant time; None lets every client in."""

    def __init__(self, key: str | None) -> None:
        self._digest = hashlib.sha256(key.encode()).digest() if key else None

    def check(self, scope: Scope) -> None:
        """Raise `RequestError` (401) unless the request brings the key as a bearer token."""
        if self._digest is None:
            return
        scheme, _, token = header(scope, b"authorization").partition(b" ")
        # digests have one length: the comparison says nothing about the key, not even how long it is
        same = hmac.compare_digest(hashlib.sha256(token.strip()).digest(), self._digest)
        if scheme.lower() != b"bearer" or not same:
            raise RequestError(
                "The API key is missing or wrong; send it as the header 'Authorization: Bearer KEY'.",
                status=401,
                code="invalid_api_key",
                kind="authentication_error",
            )


def header(scope: Scope, name: bytes) -> bytes:
    """Read the value of a request header (`name` in lower case), or nothing."""
    return next((value for key, value in scope["headers"] if key == name), b"")


async def read_body(scope: Scope, receive: Receive, limits: RequestLimits) -> bytes:
    """Read the request's body.

    Raises `RequestError` (413) as soon as it is known to be too big, whatever Content-Length says, and
    `DisconnectedError` when the client leaves before its end.
    """
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limits.max_body_bytes:
        raise too_big(limits)
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limits.max_body_bytes:
            raise too_big(limits)
        if not message.get("more_body"):
            return b"".join(pieces)


def replay(body: bytes, receive: Receive) -> Receive:
    """Make a `receive` that gives `body` first, and then whatever comes from the client (its leaving)."""
    waiting = True

    async def give() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return give


def with_json_body(scope: Scope, body: bytes) -> Scope:
    """Give `scope` the headers that belong to a new JSON `body`."""
    kept = [pair for pair in scope["headers"] if pair[0] not in _REPLACED]
    return {**scope, "headers": [*kept, *_json_headers(body)]}


async def call(app: ASGIApp, scope: Scope, path: str, body: bytes) -> WholeResponse:
    """Ask `app` by a POST of JSON made in-process for the request in `scope`.

    Only the client's Authorization and Host go along: an X-Request-Id, say, must not be shared by several requests.
    When this is cancelled, `app` sees its client disconnect and is waited for.
    """
    left = asyncio.Event()
    waiting = True

    async def receive() -> Message:
        nonlocal waiting
        if waiting:
            waiting = False
            return {"type": "http.request", "body": body, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    work = asyncio.ensure_future(fetch(app, _inner_scope(scope, path, body), receive))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        left.set()
        await asyncio.gather(work, return_exceptions=True)
        raise


async def fetch(app: ASGIApp, scope: Scope, receive: Receive) -> WholeResponse:
    """Ask `app` what the request in `scope` asks, and return its response in one piece."""
    status, headers, pieces = 0, (), list[bytes]()

    async def send(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], tuple(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return WholeResponse(status, headers, b"".join(pieces))


async def unless_disconnected(receive: Receive, work: Coroutine[None, None, T]) -> T:
    """Await `work`; when the client leaves first, cancel it and raise `DisconnectedError`."""
    job = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({job, watch}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not job.done():
            job.cancel()
            await asyncio.wait({job})
    if job.cancelled():
        raise DisconnectedError
    return job.result()


async def together(work: Iterable[Coroutine[None, None, T]]) -> list[T]:
    """Await all results, in order; when one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _inner_scope(scope: Scope, path: str, body: bytes) -> Scope:
    """Return the scope of a request made in-process."""
    whole = scope.get("root_path", "") + path
    kept = [pair for pair in scope["headers"] if pair[0] in (b"authorization", b"host")]
    return {
        **scope,
        "method": "POST",
        "path": whole,
        "raw_path": whole.encode(),
        "query_string": b"",
        "headers": [*kept, *_json_headers(body)],
        "state": dict(scope.get("state", {})),
    }


def _json_headers(body: bytes) -> Iterable[Header]:
    """Return the headers of a JSON body."""
    return (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))
