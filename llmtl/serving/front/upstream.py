"""The front's connection to the server for one client: answers come back through it, and where they end is noted.

Not covered: requests (`llmtl.serving.front.client_connection`).
"""

import asyncio
from typing import Protocol, cast

import httptools


class Listener(Protocol):
    """Who the answers are for."""

    transport: asyncio.Transport

    def answer_received(self, data: bytes) -> None:
        """Take a part of an answer."""

    def answered(self, *, last: bool) -> None:
        """Note that an answer is complete; after the `last` one the connection ends."""

    def upstream_lost(self, upstream: "Upstream") -> None:
        """Note that the connection to the server is gone."""


class Upstream(asyncio.Protocol):
    """The connection to the server for one client."""

    transport: asyncio.Transport

    def __init__(self, client: Listener) -> None:
        self._client = client
        self._parser = httptools.HttpResponseParser(self)
        self._head = self._bodiless = self._lost_track = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not subclasses

    def next(self, *, head: bool) -> None:
        """Expect the answer to a request; to HEAD it has no body, whatever its headers say."""
        self._head = head

    def data_received(self, data: bytes) -> None:
        """Pass a part of an answer on."""
        self._client.answer_received(data)
        if self._lost_track:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._lost_track = True  # then the end of the connection is the end of the answer
        if self._bodiless:
            self._bodiless = False
            last = not self._parser.should_keep_alive()
            self._parser = httptools.HttpResponseParser(self)
            self._client.answered(last=last)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the client's connection."""
        self._client.upstream_lost(self)

    def pause_writing(self) -> None:
        """Take nothing more from the client for now."""
        self._client.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        self._client.transport.resume_reading()

    def on_headers_complete(self) -> None:
        """Note an answer that ends here."""
        self._bodiless = self._head and self._parser.get_status_code() >= 200

    def on_message_complete(self) -> None:
        """Tell the client's connection that an answer is complete, unless it is one like "100 Continue"."""
        if self._parser.get_status_code() >= 200 and not self._bodiless:
            self._client.answered(last=not self._parser.should_keep_alive())
