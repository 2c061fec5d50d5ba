"""The playground as one page on a server of its own, which neither calls nor lets the page call any outside host.

Gradio's analytics, web fonts and run history are off; a content security policy forbids the browser every other host,
and the routes by which Gradio would fetch addresses for a visitor are closed. Not covered: TLS and passwords; put a
proxy in front to publish the page.
"""

from dataclasses import dataclass

import gradio as gr
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmtl.address import free_port, without_proxy
from llmtl.errors import ServingError
from llmtl.playground.batch import MOST_BYTES
from llmtl.playground.batch_tab import build_batch
from llmtl.playground.decision_tab import build_decision
from llmtl.playground.errors_tab import build_errors
from llmtl.playground.http_client import Endpoint
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import html, render
from llmtl.playground.style import head, theme
from llmtl.playground.try_tab import TRY_TAB, build_try

SWEEP_SECONDS = 600
KEEP_UPLOADS_SECONDS = 3600 - SWEEP_SECONDS
"""Uploads older than this are deleted at the next sweep, so none stays longer than an hour."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Inline and evaluated scripts are how Gradio's own page works; everything else must come from this server."""
_FETCHING = ("/file=http:", "/file=https:", "/proxy=")
"""Parts of Gradio's routes that make the server fetch an address that the visitor names."""


@dataclass(frozen=True)
class Playground:
    """A running playground at `url`, and at `share_url` when it was shared."""

    url: str
    share_url: str | None
    _blocks: gr.Blocks
    _endpoint: Endpoint

    def close(self) -> None:
        """Stop serving and free the port; closing twice is harmless."""
        self._blocks.close(verbose=False)
        self._endpoint.close()


def build(content: PlaygroundContent, endpoint: Endpoint | None = None) -> gr.Blocks:
    """Build the page, not yet served; `endpoint` is by default a new client of `content.base_url`."""
    endpoint = endpoint or Endpoint(content.base_url, content.api_key)
    blocks = gr.Blocks(
        title=f"{content.task.task} playground",
        analytics_enabled=False,
        delete_cache=(SWEEP_SECONDS, KEEP_UPLOADS_SECONDS),
    )
    with blocks:
        html(render("header", task=content.task, base_url=content.base_url), elem_id="header")
        with gr.Tabs() as tabs:
            with gr.Tab("Try", id=TRY_TAB):
                tried = build_try(content, endpoint)
            with gr.Tab("Decision", id="decision"):
                build_decision(content)
            with gr.Tab("Errors", id="errors"):
                build_errors(content, endpoint, tabs=tabs, tried=tried)
            with gr.Tab("Batch", id="batch"):
                build_batch(content, endpoint)
    return blocks


def launch(content: PlaygroundContent, *, host: str = "127.0.0.1", port: int = 7860, share: bool = False) -> Playground:
    """Start the playground and wait until it answers, without waiting for it to end; port 0 takes a free one.

    Nothing is shared publicly unless `share` is true. Raises `ServingError` when the port is taken.
    """
    port = free_port(host, port, option="--port")
    endpoint = Endpoint(content.base_url, content.api_key)
    blocks = build(content, endpoint)
    try:
        with without_proxy():  # Gradio asks its own server whether it is there
            _, url, share_url = blocks.launch(
                server_name=host,
                server_port=port,
                share=share,
                prevent_thread_lock=True,
                inbrowser=False,
                quiet=True,
                ssr_mode=False,
                run_history=False,
                footer_links=[],
                enable_monitoring=False,
                max_file_size=MOST_BYTES,
                allowed_paths=[],
                theme=theme(),
                head=head(),
                app_kwargs={"middleware": [Middleware(_OwnHostOnly)]},
            )
    except OSError as error:
        endpoint.close()
        raise ServingError(f"Port {port} of {host} is taken; give the playground another with --port.") from error
    return Playground(url, share_url, blocks, endpoint)


class _OwnHostOnly:
    """ASGI middleware: adds the content security policy, and refuses to fetch addresses for visitors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif any(part in scope["path"] for part in _FETCHING):
            await PlainTextResponse("This server fetches no other address.", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, _guarded(send))


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
