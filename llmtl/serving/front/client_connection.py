"""One client's connection: its requests pass to the server behind the front, one at a time, and the answers back.

Bytes pass as they came; parsers of both ways (llhttp, by `httptools`) say where requests and answers begin and end. The
server is connected to once the headers are there, so that a slow client costs it nothing, and each client has a
connection to it of its own: nothing of one can get into another's. Not covered: upgrades, which are ignored, as HTTP
allows; TLS.
"""

import asyncio
import re
from enum import Enum
from typing import TYPE_CHECKING, Protocol, cast

import httptools

from llmtl.address import is_loopback
from llmtl.serving.front import refusals
from llmtl.serving.front.addressee import Addressee
from llmtl.serving.front.plan import ConnectionLimits
from llmtl.serving.front.refusals import Condition, Refusal
from llmtl.serving.front.upstream import Upstream
from llmtl.serving.task_api.interface import HEALTH, KEEP_ALIVE_SECONDS, LIVE, READY

if TYPE_CHECKING:
    from pathlib import Path

LINGER_SECONDS = 2.0
"""How long what a refused client still sends is taken and thrown away: ended at once, it might never read why."""
UNUSED_SECONDS = 30.0
"""An idle client keeps its connection to the server for so long."""
_MOST_HEADERS = 64 * 1024
_MOST_FRAMING, _FRAMING_PER_BYTE = 2**20, 8
"""Bytes of a request beside its body: headers, and sizes, extensions and trailers of chunks; one of a byte needs 5."""
_UPGRADE = re.compile(rb"(\r\n)upgrade:", re.IGNORECASE)
_OWN = {HEALTH.encode(): False, READY.encode(): False, LIVE.encode(): True}
"""The routes that the front answers, and whether being alive is all that they ask."""


class Phase(Enum):
    """What a connection waits for."""

    HEADERS = "headers"
    BODY = "body"
    ANSWER = "answer"
    IDLE = "idle"
    CLOSING = "closing"


class ConnectionRegistry(Protocol):
    """What a client's connection needs of the proxy that holds it."""

    condition: Condition
    limits: ConnectionLimits
    socket: "Path"
    own_names_only: bool
    loop: asyncio.AbstractEventLoop

    def admit(self, connection: "ClientConnection", address: str) -> bool:
        """Take a new connection in; False where there is no room."""

    def mark_idle(self, connection: "ClientConnection") -> None:
        """Note that a connection waits for its client, and can be ended to make room."""

    def mark_busy(self, connection: "ClientConnection") -> None:
        """Note that it does not any more."""

    def remove(self, connection: "ClientConnection", address: str) -> None:
        """Forget a connection."""


class ClientConnection(asyncio.Protocol):
    """A client's connection."""

    transport: asyncio.Transport

    def __init__(self, proxy: ConnectionRegistry) -> None:
        self._proxy = proxy
        self._parser = self._new_parser()
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._held = bytearray()  # of a request whose headers are not complete, or whose server is not connected yet
        self._arriving = self._headed = self._ended = self._pipelined = self._joined = False  # the request
        self._pending = self._answer_begun = self._last = False  # its answer
        self._taken = self._body = 0  # bytes of the request, and of them its body
        self._addressee = Addressee(own_names_only=False)
        self.address = ""
        self.phase = Phase.HEADERS
        self.deadline: float | None = None

    @property
    def answer_pending(self) -> bool:
        """Say whether an answer is under way or awaited."""
        return self._pending

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection in, or refuse it."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        if self._proxy.own_names_only:  # what does not arrive at a loopback address may name any host
            arrived = str((transport.get_extra_info("sockname") or ("",))[0])
            self._addressee = Addressee(own_names_only=is_loopback(arrived))
        if not self._proxy.admit(self, self.address):
            if not self.transport.is_closing():
                self._refuse(refusals.FULL)
            return
        self._wait(Phase.HEADERS, self._proxy.limits.max_header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the server know that its client has left."""
        self._proxy.remove(self, self.address)
        self.phase, self.deadline = Phase.CLOSING, None
        self._drop_upstream()

    def data_received(self, data: bytes) -> None:
        """Pass what arrived on, once it is known where it belongs."""
        if self.phase is Phase.CLOSING:
            return
        ready, self._ended = self._headed, False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._without_upgrade(bytes(self._held) + data)
            return
        except httptools.HttpParserError:
            self._refuse(refusals.NOT_HTTP)
            return
        if self.phase is Phase.IDLE and self._arriving:  # its headers are not complete
            self._wait(Phase.HEADERS, self._proxy.limits.max_header_seconds)
        self._taken += len(data)
        if self._pipelined:
            self._refuse(refusals.ONE_BY_ONE)
        elif self._headed and self._taken > _MOST_FRAMING + (1 + _FRAMING_PER_BYTE) * self._body:
            self._refuse(refusals.LONG_FRAMING)
        elif self._joined:
            self._pass_joined(data, begins=self._headed and (self._ended or not ready))
        elif ready and self._upstream is not None:
            self._upstream.transport.write(data)
        elif self._headed and not ready:
            self._begin(bytes(self._held + data) if self._held else data)
        elif not ready or self._connecting is not None:
            self._hold(data)
        # answered already: what is left of its body goes nowhere

    def pause_writing(self) -> None:
        """Wait for a client that reads slowly, for as long as for one that writes slowly."""
        if self._upstream is not None:
            self._upstream.transport.pause_reading()
        if self.deadline is None:
            self.deadline = self._proxy.loop.time() + self._proxy.limits.max_body_seconds

    def resume_writing(self) -> None:
        """Go on."""
        if self._upstream is not None:
            self._upstream.transport.resume_reading()
        if self.phase is Phase.ANSWER:
            self.deadline = None

    # what the parser says

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        if self._pending:
            self._pipelined = True
            return
        self._joined = self._ended
        self._arriving, self._headed = True, False
        self._addressee.clear()
        self._taken = self._body = 0

    def on_url(self, url: bytes) -> None:
        """Note what is asked."""
        self._addressee.add_target(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note who is asked; trailers, which come after the body, say nothing of that."""
        if not self._headed and len(name) == 4 and name.lower() == b"host":
            self._addressee.add_host(value)

    def on_headers_complete(self) -> None:
        """Note that an answer is due."""
        if self._pipelined:
            return
        self._addressee.read()
        self._headed = self._pending = True
        self._answer_begun = False
        self._last = not self._parser.should_keep_alive()
        self.phase = Phase.BODY
        self.deadline = self._proxy.loop.time() + self._proxy.limits.max_body_seconds
        self._proxy.mark_busy(self)

    def on_body(self, body: bytes) -> None:
        """Count the body."""
        self._body += len(body)

    def on_message_complete(self) -> None:
        """Note that nothing more of the request is to come."""
        if self._pipelined:
            return
        self._arriving, self._ended = False, True
        if self._pending:
            self.phase, self.deadline = Phase.ANSWER, None
        else:
            self._rest()

    # the request

    def _begin(self, request: bytes) -> None:
        """Answer a request whose headers are there, refuse it, or pass it on."""
        path = self._addressee.path
        head = (method := self._parser.get_method()) == b"HEAD"
        if path in _OWN and (head or method == b"GET"):
            self._held.clear()
            self._last |= self._arriving
            self.transport.write(refusals.state(self._proxy.condition, alive=_OWN[path], last=self._last, head=head))
            self.answered(last=self._last)
        elif len(request) > _MOST_HEADERS and b"\r\n\r\n" not in request[:_MOST_HEADERS]:
            self._refuse(refusals.LONG_HEADERS)
        elif refusal := self._addressee.refusal(self._parser.get_http_version()):
            self._refuse(refusal)
        elif self._upstream is None:
            self._held[:] = request
            self._connecting = self._proxy.loop.create_task(self._connect(head=head))
        else:
            self._held.clear()
            self._upstream.next(head=head)
            self._upstream.transport.write(request)

    def _hold(self, data: bytes) -> None:
        """Keep a part of a request until it can be passed on."""
        self._held += data
        if len(self._held) <= _MOST_HEADERS:
            return
        if self._headed:
            self.transport.pause_reading()
        else:
            self._refuse(refusals.LONG_HEADERS)

    def _without_upgrade(self, request: bytes) -> None:
        """Take a request as if it offered no upgrade, under whose name it would have no body; refuse CONNECT."""
        head, blank, body = request.partition(b"\r\n\r\n")
        ordinary, offers = _UPGRADE.subn(rb"\1x-not-used:", head)
        if self._pipelined or self._joined or not offers:
            self._refuse(refusals.ONE_BY_ONE if self._pipelined else refusals.NOT_HTTP)
            return
        self._parser = self._new_parser()
        self._held.clear()
        self._arriving = self._headed = self._ended = self._pending = False
        self.data_received(ordinary + blank + body)

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _pass_joined(self, data: bytes, *, begins: bool) -> None:
        """Pass on a request that came in one piece with the end of another's body.

        Its client had heard the answer to that before all of it was sent, as of one that is too large. The two cannot
        be told apart, so both go where the first goes; the probes are then answered by the server.
        """
        if self._upstream is None:
            self._refuse(refusals.FAILED)
        elif begins and (refusal := self._addressee.refusal(self._parser.get_http_version())):
            self._refuse(refusal)
        else:
            if begins:
                self._upstream.next(head=self._parser.get_method() == b"HEAD")
            self._upstream.transport.write(data)

    async def _connect(self, *, head: bool) -> None:
        """Connect to the server and pass on what arrived."""
        try:
            _, upstream = await self._proxy.loop.create_unix_connection(lambda: Upstream(self), str(self._proxy.socket))
        except OSError:
            self._connecting = None
            self._refuse(refusals.waiting(self._proxy.condition))
            return
        self._connecting = None
        if self.phase is Phase.CLOSING:
            upstream.transport.abort()
            return
        self._upstream = upstream
        upstream.next(head=head)
        upstream.transport.write(bytes(self._held))
        if len(self._held) > _MOST_HEADERS:
            self.transport.resume_reading()
        self._held.clear()

    # the answer

    def answer_received(self, data: bytes) -> None:
        """Pass a part of the answer on."""
        self._answer_begun = True
        self.transport.write(data)

    def answered(self, *, last: bool) -> None:
        """Note that the answer is complete; after the `last` one the connection ends."""
        self._pending = False
        self._last |= last
        if self._last or self._proxy.condition is Condition.STOPPING:
            self._close()
        elif not self._arriving:
            self._rest()

    def upstream_lost(self, upstream: "Upstream") -> None:
        """Answer for a server that is gone, unless a part of its answer went out."""
        if upstream is not self._upstream:
            return
        self._upstream = None
        if self.phase is Phase.CLOSING or not self._pending:
            return
        if self._answer_begun:
            self._close()  # without the end of the answer, by which the client knows
        else:
            self._refuse(refusals.FAILED)

    # the end

    def check(self, now: float) -> None:
        """End what has waited for too long."""
        if self.deadline is None:
            return
        if now < self.deadline:
            if self.phase is Phase.IDLE and now > self.deadline - KEEP_ALIVE_SECONDS + UNUSED_SECONDS:
                self._drop_upstream()
        elif self.phase is Phase.CLOSING or self._answer_begun:
            self.transport.abort()
        elif self.phase is Phase.IDLE or not self._arriving:
            self._close()
        else:
            self._refuse(refusals.TOO_SLOW)

    def evict(self) -> None:
        """End a connection that waits for its client, for the sake of another."""
        self._refuse(refusals.FULL) if self._held else self._close()

    def stop(self) -> None:
        """End the connection now, or after the answer that is due."""
        if not self._pending and self.phase is not Phase.CLOSING:
            self._close()

    def give_up(self) -> None:
        """End the connection although an answer is due."""
        self._refuse(refusals.waiting(Condition.STOPPING))

    def _wait(self, phase: Phase, seconds: float) -> None:
        """Wait for the client, for so long."""
        self.phase, self.deadline = phase, self._proxy.loop.time() + seconds
        self._proxy.mark_idle(self)

    def _rest(self) -> None:
        """Wait for the next request."""
        self._held.clear()
        self._headed = self._answer_begun = False
        self._wait(Phase.IDLE, KEEP_ALIVE_SECONDS)

    def _refuse(self, refusal: Refusal) -> None:
        """Say what is wrong, unless that would pass for the rest of an answer, and end the connection."""
        if self._answer_begun and self._pending:
            self.transport.abort()
        elif self.phase is not Phase.CLOSING:
            self.transport.write(refusal.response())
            self._close(refused=True)

    def _close(self, *, refused: bool = False) -> None:
        """End the connection; what its client still sends is thrown away for a while."""
        self.phase = Phase.CLOSING
        self._pending = False
        self._held.clear()
        self._proxy.mark_busy(self)
        self._drop_upstream()
        now = self._proxy.loop.time()
        if refused or self._arriving:
            self.deadline = now + LINGER_SECONDS
            self.transport.resume_reading()
            self.transport.write_eof()
        else:
            self.deadline = now + self._proxy.limits.max_body_seconds  # a slow client may read to the end
            self.transport.close()

    def _drop_upstream(self) -> None:
        """End the connection to the server, which then stops working for it."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._upstream is not None:
            self._upstream.transport.abort()
            self._upstream = None
