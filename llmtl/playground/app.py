"""The playground as one page on a server of its own, which neither calls nor lets the page call any outside host.

Gradio's analytics, web fonts and run history are off; who may ask, and that the browser asks no other host, is the
guard's (`guard`). Not covered: TLS; put a proxy in front to publish the page.
"""

from dataclasses import dataclass

import gradio as gr
from starlette.middleware import Middleware

from llmtl.address import free_port, is_loopback, without_proxy
from llmtl.errors import ServingError
from llmtl.playground.batch import MOST_BYTES
from llmtl.playground.batch_tab import build_batch
from llmtl.playground.decision_tab import build_decision
from llmtl.playground.errors_tab import build_errors
from llmtl.playground.guard import AccessPolicy, Guard
from llmtl.playground.http_client import Endpoint
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.pages import html, render
from llmtl.playground.style import head, theme
from llmtl.playground.try_tab import TRY_TAB, build_try
from llmtl.playground.use_tab import build_use

SWEEP_SECONDS = 600
KEEP_UPLOADS_SECONDS = 3600 - SWEEP_SECONDS
"""Uploads older than this are deleted at the next sweep, so none stays longer than an hour."""


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
        html(render("header", task=content.task, title=content.title, base_url=content.base_url), elem_id="header")
        with gr.Tabs() as tabs:
            # the ids of elements tie a tab to its panel for those who do not see them
            with gr.Tab("Try", id=TRY_TAB, elem_id="panel-try"):
                tried = build_try(content, endpoint)
            with gr.Tab("Decision", id="decision", elem_id="panel-decision"):
                build_decision(content)
            with gr.Tab("Errors", id="errors", elem_id="panel-errors"):
                build_errors(content, endpoint, tabs=tabs, tried=tried)
            with gr.Tab("Batch", id="batch", elem_id="panel-batch"):
                build_batch(content, endpoint)
            with gr.Tab("Use it", id="use", elem_id="panel-use"):
                build_use(content)
    return blocks


def launch(content: PlaygroundContent, *, host: str = "127.0.0.1", port: int = 7860, share: bool = False) -> Playground:
    """Start the playground and wait until it answers, without waiting for it to end; port 0 takes a free one.

    Where the endpoint has an API key, visitors log in with it. Nothing is shared publicly unless `share` is true.
    Raises `ServingError` when the port is taken.
    """
    port = free_port(host, port, option="--port")
    endpoint = Endpoint(content.base_url, content.api_key)
    blocks = build(content, endpoint)
    policy = AccessPolicy(content.api_key, local=is_loopback(host) and not share, shared=share)
    try:
        with without_proxy(at_all=not share):  # Gradio asks its own server whether it is there
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
                app_kwargs={"middleware": [Middleware(Guard, policy=policy)]},
            )
    except OSError as error:
        endpoint.close()
        raise ServingError(f"Port {port} of {host} is taken; give the playground another with --port.") from error
    policy.launching = False
    return Playground(url, share_url, blocks, endpoint)
