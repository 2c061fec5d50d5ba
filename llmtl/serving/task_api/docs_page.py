"""The interface of a server as a page: what `/openapi.json` says, for a person, without scripts or anything to load."""

import json
from html import escape
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2330 }
h2 { font-size: 1.1rem; margin-top: 2rem; border-top: 1px solid #d5d9e2; padding-top: 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: #f2f4f8; border-radius: 4px }
code { padding: 0 .25em } pre { padding: .7rem; overflow-x: auto } .verb { color: #2454a6 }
table { border-collapse: collapse; width: 100% } td { vertical-align: top; padding: .2rem .8rem .2rem 0 }
td:first-child { white-space: nowrap }
@media (prefers-color-scheme: dark) { body { background: #14171e; color: #dfe3ec } code, pre { background: #222734 }
  h2 { border-color: #343a49 } .verb { color: #8fb4ff } }
"""


def docs_page(document: dict[str, Any]) -> str:
    """Write the page of an OpenAPI document."""
    info = document["info"]
    routes = "".join(
        _route(path, verb, about) for path, verbs in document["paths"].items() for verb, about in verbs.items()
    )
    answer = _code(document["components"]["schemas"]["Answer"])
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(info['title'])}</title><style>{_STYLE}</style><h1>{escape(info['title'])}</h1>"
        f"<p>{escape(info['description'])} For programs: <code>/openapi.json</code>.</p>"
        f"<p>What an answer can be, as JSON:</p>{answer}{routes}</html>"
    )


def _route(path: str, verb: str, about: dict[str, Any]) -> str:
    """Write one route: what it is for, its fields, an example, what it answers."""
    more = "".join(f"<p>{_marked(part)}</p>" for part in about.get("description", "").split("\n\n") if part)
    return (
        f"<h2><span class=verb>{verb.upper()}</span> <code>{escape(path)}</code></h2><p>{escape(about['summary'])}</p>"
        f"{more}{_body(path, about.get('requestBody'))}{_statuses(about['responses'])}"
    )


def _body(path: str, body: dict[str, Any] | None) -> str:
    """Write the fields of a request and a line for a shell."""
    if body is None:
        return ""
    content = body["content"]["application/json"]
    schema = content["schema"]
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{'' if name in schema['required'] else ' (optional)'}<td>{_field(field)}"
        for name, field in schema["properties"].items()
    )
    line = (
        f"curl HOST{path} -H 'Content-Type: application/json' -d '{json.dumps(content['example'], ensure_ascii=False)}'"
    )
    return f"<table>{rows}</table><pre>{escape(line)}</pre>"


def _field(field: dict[str, Any]) -> str:
    """Write what a field may be."""
    words = _marked(field.get("description", ""))
    named = [f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>" for value in field.get("enum", ())]
    kind = ", ".join(named) or escape(str(field.get("type", "")))
    return f"{kind}{'. ' if kind and words else ''}{words}"


def _statuses(responses: dict[str, Any]) -> str:
    """Write the statuses of a route."""
    return (
        "<p>"
        + " ".join(f"<code>{code}</code> {escape(each['description'])}" for code, each in responses.items())
        + "</p>"
    )


def _code(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, ensure_ascii=False, indent=1))}</pre>"


def _marked(text: str) -> str:
    """Write a text whose names of fields stand between backticks."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
