"""What clients are told when vLLM's engine dies under their request: 503 and when to try again, not a stack trace.

vLLM answers 500 then, or ends a stream, which began with 200, with the error in an event. So the start of a stream is
held back until its first event is there. Not covered: vLLM's server ending as well, for whose clients the front answers
(`llmtl.serving.front`).
"""

import json

from starlette.responses import JSONResponse
from starlette.types import Message, Scope, Send

from llmtl.serving.front.refusals import FAILED

_SAID = (b"EngineCore encountered an issue", b"EngineDeadError")
"""How vLLM words it."""
_ERROR_EVENT = b'data: {"error"'


def answering_for_a_dead_engine(scope: Scope, send: Send) -> Send:
    """Return a `send` that tells the client of a request that its engine died, where that is what vLLM says."""
    return _Watched(scope, send).send


class _Watched:
    """One response on its way to the client."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Message | None = None
        self._pieces: list[bytes] = []
        self._streams = False

    async def send(self, message: Message) -> None:
        """Pass one ASGI message on, or what it stands for."""
        if message["type"] == "http.response.start":
            kind = next((value for name, value in message["headers"] if name.lower() == b"content-type"), b"")
            self._streams = kind.startswith(b"text/event-stream")
            if self._streams or message["status"] >= 500:
                self._start = message
                return
        elif message["type"] == "http.response.body":
            if self._streams:
                await self._event(message)
                return
            if self._start is not None:
                await self._whole(message)
                return
        await self._send(message)

    async def _event(self, message: Message) -> None:
        """Pass a piece of a stream on."""
        body = message.get("body", b"")
        died = body.startswith(_ERROR_EVENT) and self._died(body)
        start, self._start = self._start, None
        if died and start is not None:
            self._streams = False
            await self._refuse()
            self._send = _nowhere
            return
        if start is not None:
            await self._send(start)
        await self._send({**message, "body": _event() + body.partition(b"\n\n")[2]} if died else message)

    async def _whole(self, message: Message) -> None:
        """Pass a failure on, once all of it is there."""
        self._pieces.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = b"".join(self._pieces)
        if self._died(body):
            await self._refuse()
        elif self._start is not None:
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": body})

    def _died(self, said: bytes) -> bool:
        """Say whether the engine is dead: vLLM's client of it knows, and the answer says so."""
        state = getattr(self._scope.get("app"), "state", None)
        engine = getattr(state, "engine_client", None)
        return bool(getattr(engine, "errored", False)) or any(words in said for words in _SAID)

    async def _refuse(self) -> None:
        """Tell the client."""
        response = JSONResponse({"error": FAILED.error}, FAILED.status, {"Retry-After": str(FAILED.retry)})
        await response(self._scope, _nothing, self._send)


def _event() -> bytes:
    """Write the error as an event of a stream."""
    return b"data: " + json.dumps({"error": FAILED.error}, separators=(",", ":")).encode() + b"\n\n"


async def _nowhere(_message: Message) -> None:
    """Send nothing: the response is complete."""


async def _nothing() -> Message:
    """Receive nothing: a response in one piece asks for nothing."""
    return {"type": "http.disconnect"}
