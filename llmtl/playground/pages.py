"""Values to HTML: the templates beside this module, with everything from outside escaped.

Not covered: what the templates are given, which each tab works out.
"""

from functools import cache
from typing import Any

import gradio as gr
import jinja2

from llmtl.report.templates import html_templates


def render(template: str, **values: Any) -> str:
    """Fill `template` (a name without its ending) with these values, as HTML."""
    return _environment().get_template(f"{template}.jinja").render(**values)


def failure(message: str) -> str:
    """Write one line that says what went wrong and what to do, announced to screen readers."""
    return render("notice", message=message, kind="failure")


def note(message: str) -> str:
    """Write one quiet line."""
    return render("notice", message=message, kind="note")


def html(value: str, **settings: Any) -> gr.HTML:
    """Make a component that shows HTML in this package's own style; `settings` are those of `gr.HTML`."""
    return gr.HTML(value, **({"js_on_load": None, "apply_default_css": False} | settings))


def amount(value: float, unit: str) -> str:
    """Write a slider's value in words, as its script writes it: at most six decimals, USD with a dollar sign."""
    digits = f"{value:,.6f}".rstrip("0").rstrip(".")
    return f"${digits}" if unit == "usd" else digits


@cache
def _environment() -> jinja2.Environment:
    environment = html_templates("llmtl.playground", "")
    environment.filters["amount"] = amount
    return environment
