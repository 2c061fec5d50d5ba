"""Write docs/reference/http-api.md from what a server says of itself at `/openapi.json`, and from its limits.

Run `python docs/write_http_api.py` after a route or a limit changed; a test holds that the page is current.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from llmtl.serving.bundle.manifest import BaseModel, Bundle, ServedStrategy, Weights
from llmtl.serving.front.plan import ConnectionLimits
from llmtl.serving.task_api.access import Access
from llmtl.serving.task_api.answer_format import AnswerFormat
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.interface import EMBEDDINGS, RequestLimits
from llmtl.serving.task_api.openapi import openapi
from llmtl.task import Task

PAGE = Path(__file__).parent / "reference" / "http-api.md"
INTRODUCTION = """# The HTTP API

`python docs/write_http_api.py` writes this page. How a server is started: [Serve the winner](../how-to/serve.md). What
of a chat is used, ignored and refused, with examples: [Requests and answers](requests.md).

A server answers the same way whatever won. Clients send the raw input; the server words the prompt and constrains the
answer as was measured. Where a key is set, requests need `Authorization: Bearer KEY`. Every server describes itself,
with its own models and limits, at `/openapi.json`, and as a page at `/docs`; here it is one that routes tickets to two
queues, by a prompt.
"""
SAMPLE = Bundle(
    task=Task("tickets", ("billing", "delivery")),
    winner=ServedStrategy("zero-shot", "tickets", "tickets", Weights.BASE),
    others=(),
    base=BaseModel("BASE", "BASE", hub=True, revision=None, licence="", context_length=8192, dtype="bfloat16"),
    answers=("billing", "delivery"),
    answer_tokens=(),
    lora_rank=0,
    created="",
    llmtl_version="",
    verdict="",
)
UNAUTHORISED = "401"
MORE = {
    "431": "The headers are too long.",
    "402": "The spend limit at the provider is reached (a hosted winner).",
    "502": "The provider failed (a hosted winner).",
}
"""What this sample's server never answers."""
Json = Mapping[str, Any]


def page() -> str:
    """Return the page."""
    limits = RequestLimits()
    document = openapi(Catalogue(SAMPLE), AnswerFormat.of(SAMPLE), limits)
    parts, refused = [INTRODUCTION], {}
    for route, methods in document["paths"].items():
        for method, told in methods.items():
            if "summary" in told:
                parts.extend(_route(f"{method.upper()} {route}", told))
                refused |= {code: answer["description"] for code, answer in told["responses"].items() if code != "200"}
    bounds = [
        f"| `LLMTL_{each.name.upper()}` | {each.default:,} | {_said(RequestLimits, each.name)} |"
        for each in fields(RequestLimits)
    ]
    connections = [
        f"| `--{each.name.replace('_', '-')}` | {each.default:,} | {_said(ConnectionLimits, each.name)} |"
        for each in fields(ConnectionLimits)
    ]
    access = [f"| `LLMTL_{each.name.upper()}` | {_said(Access, each.name)} |" for each in fields(Access)]
    return "\n".join(
        [
            *parts,
            f"## POST {EMBEDDINGS}\n",
            "OpenAI's embeddings: only where the winner of a search compares texts by vectors.",
            "",
            "## Errors\n",
            'Refusals have OpenAI\'s form, `{"error": {"message", "type", "param", "code"}}`, and the message says '
            "how to fix the request.\n",
            "\n".join(["| status | what it means |", "|---|---|", *_rows(refused | MORE)]) + "\n",
            "## Limits\n\nSet by options of `llmtl serve`, or by environment variables.\n",
            "\n".join(["| variable | default | what it limits |", "|---|---|---|", *bounds]) + "\n",
            "Those of connections are options of `llmtl serve` alone, whose front holds them:\n",
            "\n".join(["| option | default | what it limits |", "|---|---|---|", *connections]) + "\n",
            "## Who may ask\n",
            "\n".join(["| variable | what it holds |", "|---|---|", *access]) + "\n",
        ]
    )


def _rows(statuses: Mapping[str, str]) -> list[str]:
    return [f"| {code} | {what} |" for code, what in sorted(statuses.items())]


def _route(name: str, told: Json) -> Iterator[str]:
    """Give the heading of a route, what it does, its fields and its statuses."""
    yield f"## {name}\n\n{told['summary']}\n"
    if "description" in told:
        yield f"{told['description']}\n"
    content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    if content:
        schema = content["schema"]
        rows = [
            f"| `{field}` | {_type(value)}{', required' if field in schema['required'] else ''} | "
            f"{_flat(value.get('description', ''))} |"
            for field, value in schema["properties"].items()
        ]
        yield "\n".join(["| field | value | what it is |", "|---|---|---|", *rows]) + "\n"
    open_to_all = " It needs no key." if told.get("security") == [] else ""
    statuses = [code for code in told["responses"] if not (open_to_all and code == UNAUTHORISED)]
    yield f"Answers with {', '.join(statuses)}.{open_to_all}\n"


def _type(value: Json) -> str:
    """Say in a few words what a field holds."""
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(each) for each in value["anyOf"])
    bounds = f" from {value['minimum']}" if "minimum" in value else ""
    bounds += f" to {value['maximum']}" if "maximum" in value else ""
    if value.get("type") == "array":
        most = f", at most {value['maxItems']}" if "maxItems" in value else ""
        return f"list of {_type(value['items'])}{most}"
    if value.get("type") == "object" and value.get("properties"):
        return "object of " + ", ".join(f"`{each}`" for each in value["properties"])
    return {"integer": "whole number", "string": "text", "boolean": "true, false"}.get(
        value["type"], value["type"]
    ) + bounds


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _said(section: type[object], name: str) -> str:
    """Return the description of a field."""
    hint = get_type_hints(section, include_extras=True)[name]
    described = get_args(hint)[1] if get_origin(hint) is Annotated else None
    return _flat(described.description or "").replace("*", "\\*") if described else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
