"""Which host and path a request is for, and refusals of requests that do not say so, or say it twice.

A target is a path, or the whole address that a client sends to a proxy (RFC 9112, section 3.2). Not covered: which
hosts other machines may name (`llmtl.serving.task_api.access`).
"""

import httptools

from llmtl.address import is_loopback
from llmtl.serving.front import refusals
from llmtl.serving.front.refusals import Refusal
from llmtl.serving.task_api.access import named_host

_FOR_ANY_HOST = b"/ping"
"""A probe that the server answers, by whatever address it is called."""


class Addressee:
    """The target and the Host headers of the request that arrives; with `own_names_only` the hosts are this machine."""

    def __init__(self, *, own_names_only: bool) -> None:
        self._own_names_only = own_names_only
        self._let_in: list[bytes] | None = None  # as the last request named them that was let in
        self.clear()

    def clear(self) -> None:
        """Begin with a new request."""
        self._named: list[bytes] = []
        self._hosts = 0
        self._target = self.path = b""

    def add_target(self, piece: bytes) -> None:
        """Note what is asked; it may come in pieces."""
        self._target += piece

    def add_host(self, value: bytes) -> None:
        """Note a Host header."""
        self._named.append(value)
        self._hosts += 1

    def read(self) -> None:
        """Find the path, once the target is complete; it stays empty for what no server can read."""
        try:
            address = httptools.parse_url(self._target)
        except httptools.HttpParserInvalidURLError:
            return
        path = address.path or b""
        self.path = path if path.startswith(b"/") and path.isascii() else b""
        if address.host is not None:  # section 3.2.2: it counts, whatever Host says
            self._named.append(b"[%s]" % address.host if b":" in address.host else address.host)

    def refusal(self, version: str) -> Refusal | None:
        """Say what is wrong with where a request of this version of HTTP goes; None where nothing is."""
        if not self.path:
            return refusals.NO_TARGET
        if self._own_names_only and self.path != _FOR_ANY_HOST and (names := self._foreign()):
            return refusals.foreign_host(names)
        if self._hosts > 1 or (not self._hosts and version == "1.1"):
            return refusals.ONE_HOST
        return None

    def _foreign(self) -> str:
        """Name the hosts that the request is addressed to, if one is not of this machine; once for the same again."""
        if self._named == self._let_in:
            return ""
        names = [named_host(value) for value in self._named]
        if names and all(map(is_loopback, names)):
            self._let_in = self._named
            return ""
        return ", ".join(names) or "?"
