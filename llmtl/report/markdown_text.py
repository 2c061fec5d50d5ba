"""The report as GitHub-flavoured Markdown, from the template beside it (`report.md.jinja`).

Not covered: the charts, which only the page has.
"""

import re
from statistics import median, stdev

import jinja2

from llmtl.report import judging, noise, wording
from llmtl.report.content import ReportContent
from llmtl.report.markdown_pieces import escape
from llmtl.report.money import NO_LIMITS
from llmtl.report.view import build_view, reading

_EXAMPLES = 10
_CURVE_ROWS = 12


def markdown(content: ReportContent) -> str:
    """Return the report as Markdown; every text from outside is escaped."""
    written = (
        _environment()
        .get_template("report.md.jinja")
        .render(
            view=build_view(content),
            content=content,
            judge=judging,
            noise_words=noise,
            no_limits=NO_LIMITS,
            nothing=wording.NOTHING,
            most_examples=_EXAMPLES,
            curve_rows=_CURVE_ROWS,
        )
    )
    return re.sub(r"\n{3,}", "\n\n", written).strip() + "\n"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("llmtl", "report"),
        autoescape=False,  # that is for HTML: the template escapes with the filter `e`
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= wording.FILTERS
    environment.filters |= {
        "e": escape,
        "median": median,
        "stdev": stdev,
        "reading": reading,
        "pair": lambda ends: wording.interval(*ends),
    }
    return environment
