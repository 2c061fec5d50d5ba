"""Write docs/reference/http-api.md from what a server says of itself: routes, fields, limits, statuses.

Run `python docs/write_http_api.py` after a route or a limit changed; a test holds that the page is current.
"""

import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from llmtl.serving.task_api import interface
from llmtl.serving.task_api.access import Access
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import PASSED

PAGE = Path(__file__).parent / "reference" / "http-api.md"
INTRODUCTION = """# The HTTP API

`python docs/write_http_api.py` writes this page. How a server is started: [Serve the winner](../how-to/serve.md).

A server answers the same way whatever won. Clients send the raw input; the server words the prompt and constrains the
answer as was measured. Where a key is set, requests need `Authorization: Bearer KEY`.
"""
ROUTES = {
    interface.PREDICT: (
        "POST",
        '`{"inputs": ["..."], "model": NAME}`: a row per input; labels with the probability of each',
    ),
    interface.CHAT: (
        "POST",
        "OpenAI's chat completions: the last message is the input, the answer is the label or text",
    ),
    interface.EMBEDDINGS: ("POST", "OpenAI's embeddings, where the winner of a search compares vectors"),
    interface.COMPLETIONS: ("POST", "OpenAI's completions, of the base model alone"),
    interface.TASK: ("GET", "the task, its labels, its models, its limits"),
    interface.MODELS: ("GET", "all models that can be asked; `/v1/models/NAME` is one of them"),
    interface.OPENAPI: ("GET", "the interface of this very server, as OpenAPI 3.1"),
    interface.DOCS: ("GET", "the same as a page"),
    interface.HEALTH: ("GET", "200 when the server can answer; needs no key"),
    interface.METRICS: ("GET", "metrics for Prometheus; needs no key"),
}


def page() -> str:
    """Return the page."""
    routes = [f"| `{method} {route}` | {what} |" for route, (method, what) in ROUTES.items()]
    limits = [
        f"| `LLMTL_{each.name.upper()}` | {each.default:,} | {_said(RequestLimits, each.name)} |"
        for each in fields(RequestLimits)
    ]
    passed = ", ".join(f"`{name}`" for name in PASSED)
    access = [f"| `LLMTL_{each.name.upper()}` | {_said(Access, each.name)} |" for each in fields(Access)]
    parts = [
        "## Routes\n",
        "\n".join(["| route | what it is |", "|---|---|", *routes]) + "\n",
        "## Fields of a chat\n",
        "`model`, `messages`, `response_format`, `n`, `stop`, `abstain`, and these, which reach vLLM where it runs the "
        f"winner: {passed}. What steers the sampling is the task's, not the client's. What each does, and what is "
        "ignored or refused: [Requests and answers](requests.md).\n",
        "## Limits\n",
        "Set by options of `llmtl serve`, or by environment variables.\n",
        "\n".join(["| variable | default | what it limits |", "|---|---|---|", *limits]) + "\n",
        "## Who may ask\n",
        "\n".join(["| variable | what it holds |", "|---|---|", *access]) + "\n",
    ]
    return "\n".join([INTRODUCTION, *parts])


def _said(section: type[object], name: str) -> str:
    """Return the description of a field."""
    hint = get_type_hints(section, include_extras=True)[name]
    described = get_args(hint)[1] if get_origin(hint) is Annotated else None
    return str(described.description) if described else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
