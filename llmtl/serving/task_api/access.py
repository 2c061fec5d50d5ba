"""Who may ask, before anybody looks at what is asked: names of the host, pages of other origins, JSON alone.

A page of any site can send a form or plain text to a server of its visitor's machine, and a name that resolves to that
machine makes it one of its own (DNS rebinding). So what takes JSON takes nothing else, which a browser sends across
sites only where CORS allows it; and without a key, what arrives at a loopback address must be addressed to one. Not
covered: keys (`llmtl.serving.task_api.asgi`), rates and TLS (put a proxy in front).
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Self

from pydantic import Field
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from llmtl.address import is_loopback
from llmtl.errors import InputError
from llmtl.serving.task_api.interface import CHAT, COMPLETIONS, EMBEDDINGS, KEY_VARIABLE, PREDICT, PROBES
from llmtl.serving.task_api.requests import RequestError

JSON_ROUTES = (CHAT, COMPLETIONS, EMBEDDINGS, PREDICT)
"""Where a body must be called JSON; of its other routes vLLM asks the same."""
ANY = "*"
_PREFIX = "LLMTL_"
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+", re.IGNORECASE)
_BRACKETED = re.compile(r"\[([0-9a-f:.%]*)\](?::[0-9]*)?")
_HOST = re.compile(r"(\*\.)?[\w-]+(\.[\w-]+)*")


@dataclass(frozen=True)
class Access:
    """Which hosts a request may name, and which origins' pages may ask; read from `LLMTL_ALLOWED_HOSTS` and so on.

    Raises `InputError` for what is neither a host nor an origin.
    """

    allowed_hosts: Annotated[
        str | None,
        Field(
            description="Host names that requests may give beside this machine's own, separated by commas; "
            "*.example.com is any below it, * is any. Default: any with a key or from a network, none on loopback"
        ),
    ] = None
    allowed_origins: Annotated[
        str | None,
        Field(
            description="Origins whose web pages may ask (CORS), separated by commas, such as "
            "https://app.example.com; * is any. Default: none"
        ),
    ] = None

    def __post_init__(self) -> None:
        for host in self.hosts:
            if host != ANY and not _is_host(host):
                raise InputError(
                    f"--allowed-hosts names '{host}', which is not a host; write app.example.com, without port or path."
                )
        for origin in self.origins:
            if origin != ANY and not _ORIGIN.fullmatch(origin):
                raise InputError(
                    f"--allowed-origins names '{origin}', which is not an origin; write https://app.example.com."
                )

    @property
    def hosts(self) -> tuple[str, ...]:
        """List the hosts, in lower case."""
        return tuple(host.lower() for host in _listed(self.allowed_hosts))

    @property
    def origins(self) -> tuple[str, ...]:
        """List the origins, as browsers write them."""
        return tuple(origin.rstrip("/") for origin in _listed(self.allowed_origins))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read what `environment` sets; raises `InputError`."""
        return cls(**{name: environment.get(_PREFIX + name.upper()) for name in cls.__dataclass_fields__})

    def to_environment(self) -> dict[str, str]:
        """Write the variables from which `from_environment` reads the same again."""
        return {_PREFIX + name.upper(): value for name, value in asdict(self).items() if value}


class Entrance:
    """A pure ASGI middleware: lets those requests in that may ask, and tells browsers which pages may."""

    def __init__(self, app: ASGIApp, environment: Mapping[str, str]) -> None:
        access = Access.from_environment(environment)
        self._app = app
        self._hosts = access.hosts
        self._keyed = bool(environment.get(KEY_VARIABLE))
        self._enter: ASGIApp = self._let_in
        if access.origins:
            # outermost, so that a page can read why it is refused
            self._enter = CORSMiddleware(
                self._let_in,
                allow_origins=access.origins,
                allow_methods=("GET", "POST"),
                allow_headers=(ANY,),
                expose_headers=("Retry-After",),
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        await (self._enter if scope["type"] == "http" else self._app)(scope, receive, send)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in, and answer what may not."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            if path not in PROBES:  # probes call servers by whatever address they have
                self._check_hosts(scope)
            if scope["method"] == "POST" and path in JSON_ROUTES:
                _check_json(scope)
        except RequestError as error:
            from llmtl.serving.task_api.responses import error_response  # loads scipy, which `--help` need not

            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_hosts(self, scope: Scope) -> None:
        """Raise `RequestError` (403) for a request that is addressed to a host that is not allowed."""
        arrived = (scope.get("server") or ("",))[0] or ""
        if not self._hosts and (self._keyed or not is_loopback(arrived)):
            return
        named = [named_host(value) for value in _headers(scope, b"host")]
        if named and all(is_loopback(host) or self._allows(host) for host in named):
            return
        raise RequestError(
            f"The host '{', '.join(named)}' is not served here; ask 127.0.0.1, or start the server with "
            "--allowed-hosts.",
            status=403,
            code="host_not_allowed",
            kind="permission_error",
        )

    def _allows(self, host: str) -> bool:
        """Say whether a name is among those that the server was started with."""
        return any(
            pattern in (ANY, host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
            for pattern in self._hosts
        )


def _check_json(scope: Scope) -> None:
    """Raise `RequestError` (415) for a body that is not called JSON, or called packed JSON, which nobody unpacks."""
    kinds = [value.partition(b";")[0].strip().lower() for value in _headers(scope, b"content-type")]
    if kinds != [b"application/json"]:
        raise RequestError(
            "The body must be JSON; send it with the header 'Content-Type: application/json'.",
            status=415,
            code="unsupported_media_type",
        )
    packed = [value.strip().lower() for value in _headers(scope, b"content-encoding")]
    if any(packing not in (b"", b"identity") for packing in packed):
        raise RequestError(
            "The body must be JSON as it is, not compressed; leave 'Content-Encoding' out.",
            status=415,
            code="unsupported_encoding",
        )


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    """List all values of a request header."""
    return [value for key, value in scope["headers"] if key == name]


def named_host(value: bytes) -> str:
    """Read the host in a Host header, without its port; all of what is no host, which then is nobody's name."""
    text = value.decode("latin-1").strip().lower()
    if bracketed := _BRACKETED.fullmatch(text):
        return bracketed[1]
    host, colon, port = text.rpartition(":")
    return (host if colon and port.isdigit() else text).rstrip(".")


def _is_host(host: str) -> bool:
    """Say whether this is a name, a pattern of names, or an address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _HOST.fullmatch(host) is not None
    return True


def _listed(text: str | None) -> list[str]:
    """List what stands between commas."""
    return [part for part in map(str.strip, (text or "").split(",")) if part]
