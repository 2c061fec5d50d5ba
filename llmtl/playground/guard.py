"""Who may use the playground: with an API key, whoever logs in with it; without one, pages of this server alone.

It stands before every route of Gradio, those of its queue, files and streams included, so that none has to be known by
name. A login is a cookie that holds a secret of this process: it ends with the process, or with the browser. Programs
may send `Authorization: Bearer KEY` instead. Not covered: TLS, users with names, and telling visitors apart; put a
proxy in front to publish the page.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmtl.address import is_loopback
from llmtl.playground.pages import render
from llmtl.report import palette

LOGIN = "/login"
STARTUP = "/gradio_api/startup-events"
"""What Gradio asks of its own server when it starts; open until then."""
WRONG_KEY_SECONDS = 1.0
"""How long a wrong key waits for its answer, so that keys cannot be tried by the thousand over one connection."""
_LOGIN_BYTES = 4096
MOST_BYTES = 11 * 2**20
"""The largest body that Gradio gets: a file of the batch tab, and what an upload says of it. It reads further parts of
an upload, and all other bodies, into memory without a bound of its own."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Inline and evaluated scripts are how Gradio's own page works; everything else must come from this server."""
_FETCHING = ("/file=http:", "/file=https:", "/proxy=")
"""Parts of Gradio's routes that make the server fetch an address that the visitor names."""
_VIOLATION = 1008
"""The code that closes a WebSocket for breaking a rule (RFC 6455, section 7.4.1)."""


@dataclass
class AccessPolicy:
    """What the guard goes by: the key, if there is one, and from where the page may be asked.

    `local` says that the server listens on loopback alone and is not shared. `launching` is true until Gradio has
    started.
    """

    api_key: str | None = field(default=None, repr=False)
    local: bool = True
    shared: bool = False
    launching: bool = True
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    cookie: str = field(default_factory=lambda: f"llmtl-{secrets.token_hex(4)}")

    def admits(self, headers: dict[str, str]) -> bool:
        """Say whether whoever sends these headers has logged in, or needs no login."""
        if self.api_key is None:
            return True
        bearer = headers.get("authorization", "")
        if bearer.startswith("Bearer ") and self.is_key(bearer.removeprefix("Bearer ")):
            return True
        return _same(_cookies(headers).get(self.cookie, ""), self.secret)

    def is_key(self, key: str) -> bool:
        """Say whether this is the key, in a time that does not tell how much of it is right."""
        return self.api_key is not None and _same(key, self.api_key)

    def why_foreign(self, headers: dict[str, str]) -> str:
        """Say why the request cannot come from a page of this server; empty where it can.

        A page of another site may not ask in its visitor's name, and no name that somebody lets point at this machine
        (DNS rebinding) may stand for it where no key protects it.
        """
        host = headers.get("host", "")
        if self.local and self.api_key is None and not is_loopback(_hostname(host)):
            return f"This playground answers on this machine only, not as '{host[:100]}'; set --api-key to publish it."
        origin = headers.get("origin")
        if origin is None or self.shared:
            return ""
        own = {host, headers.get("x-forwarded-host", host)}
        if urlsplit(origin).netloc not in own:
            return "This playground takes requests from its own page only; a proxy has to pass the Host header on."
        return ""


class Guard:
    """ASGI middleware: lets in who may, adds the content security policy, and fetches no address for a visitor."""

    def __init__(self, app: ASGIApp, policy: AccessPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["type"] == "websocket":
            if self._policy.why_foreign(headers) or not self._policy.admits(headers):
                await send({"type": "websocket.close", "code": _VIOLATION})
            else:
                await self._app(scope, receive, send)
            return
        answer = await self._own(Request(scope, receive), headers)
        await (answer or self._app)(scope, receive, _guarded(send))

    async def _own(self, request: Request, headers: dict[str, str]) -> Response | None:
        """Give the guard's own answer; None where the page may have the request."""
        policy, path = self._policy, str(request.scope["path"])  # the URL may be none that can be read
        refused = policy.why_foreign(headers)
        if not refused and any(part in path for part in _FETCHING):
            refused = "This server fetches no other address."
        if refused:
            return PlainTextResponse(refused, 403)
        if unbounded := _without_bound(headers):
            return unbounded
        if policy.api_key is not None and path.rstrip("/") == LOGIN:
            return await self._login(request) if request.method == "POST" else _page()
        if policy.admits(headers) or (policy.launching and path == STARTUP):
            return None
        if path == "/" and request.method in ("GET", "HEAD"):
            return RedirectResponse(LOGIN.removeprefix("/"), 303)
        return JSONResponse({"error": "Log in with the API key first."}, 401, {"WWW-Authenticate": "Bearer"})

    async def _login(self, request: Request) -> Response:
        given = parse_qs((await _body(request)).decode("utf-8", errors="replace")).get("key", [""])[0]
        if not self._policy.is_key(given.strip()):
            await asyncio.sleep(WRONG_KEY_SECONDS)
            return _page(wrong=True)
        answer = RedirectResponse("./", 303)
        safe = "https" in (request.scope["scheme"], request.headers.get("x-forwarded-proto"))
        answer.set_cookie(self._policy.cookie, self._policy.secret, httponly=True, samesite="lax", secure=safe)
        return answer


async def _body(request: Request) -> bytes:
    """Read the body of a login as far as one can be long."""
    read = b""
    try:
        async for chunk in request.stream():
            read += chunk
            if len(read) > _LOGIN_BYTES:
                return b""
    except ClientDisconnect:
        return b""
    return read


def _without_bound(headers: dict[str, str]) -> Response | None:
    """Refuse a body that is too large, or that does not say how large it will be."""
    if "transfer-encoding" in headers:
        return PlainTextResponse("Say how long the body is; send it with Content-Length.", 411)
    if int(headers.get("content-length", 0)) > MOST_BYTES:
        return PlainTextResponse(f"The body is larger than {MOST_BYTES // 2**20} MiB; send less at once.", 413)
    return None


def _page(*, wrong: bool = False) -> HTMLResponse:
    page = render("login", wrong=wrong, colours=palette.properties(), dark=palette.properties(dark=True))
    return HTMLResponse(page, 403 if wrong else 200, {"Cache-Control": "no-store"})


def _cookies(headers: dict[str, str]) -> dict[str, str]:
    try:
        read = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in read.items()}


def _same(given: str, right: str) -> bool:
    return secrets.compare_digest(given.encode(), right.encode())


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _guarded(send: Send) -> Send:
    async def with_policy(message: Message) -> None:
        if message["type"] == "http.response.start":
            added: list[tuple[bytes, bytes]] = [
                (b"content-security-policy", _POLICY.encode()),
                (b"referrer-policy", b"same-origin"),
                (b"x-content-type-options", b"nosniff"),
            ]
            message = {**message, "headers": [*message.get("headers", []), *added]}
        await send(message)

    return with_policy
