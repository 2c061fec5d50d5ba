"""How templates are filled: a missing value is an error, and numbers are worded alike in all of them.

HTML escapes by itself; Markdown by the filter `e`. Not covered: what they are given (`html`, `markdown_text` and the
playground).
"""

import re

import jinja2
from markupsafe import Markup, escape

from llmtl.report import markdown_pieces, wording
from llmtl.report.folding import folded
from llmtl.report.naming import code
from llmtl.report.view import reading


def html_templates(package: str, folder: str) -> jinja2.Environment:
    """Load the templates of a folder of a package, filled with HTML escaped."""
    environment = _templates(package, folder, escaped=True)
    environment.filters |= {"breakable": breakable, "folded": folded, "unbroken": unbroken, "code": code}
    return environment


def markdown_templates(package: str, folder: str) -> jinja2.Environment:
    """Load the templates of a folder of a package, whose filter `e` escapes what Markdown would read as its own."""
    environment = _templates(package, folder, escaped=False)
    environment.filters["e"] = markdown_pieces.escape
    return environment


def breakable(label: str) -> Markup:
    """Escape a label, and let it be broken after underscores, hyphens, dots and slashes."""
    return Markup(re.sub(r"(?<=[-_./])(?=\w)", "<wbr>", str(escape(label))))


def unbroken(sentence: str) -> Markup:
    """Escape a sentence, and keep names of models such as `all-MiniLM-L6-v2` from being broken at their hyphens."""
    return Markup(re.sub(r"[\w.]+(?:-[\w.]+)*-\w*\d[\w.]*(?:-[\w.]+)*", _in_one_line, str(escape(sentence))))


def _in_one_line(found: re.Match[str]) -> str:
    return f'<span class="unbroken">{found.group()}</span>'


def _templates(package: str, folder: str, *, escaped: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, folder),
        autoescape=escaped,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= wording.FILTERS
    environment.filters |= {"reading": reading, "pair": lambda ends: wording.interval(*ends)}
    return environment
