"""Escaped lines and tables of GitHub-flavoured Markdown, for the report and the model card.

Not covered: what they say (`report.md.jinja`, `llmtl.serving.bundle.card`).
"""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~#])")

Row = Sequence[str]


def escape(text: object) -> str:
    """Escape a text so that Markdown shows it as it is, on one line."""
    line = _SPECIAL.sub(r"\\\1", " ".join(str(text).split()).replace("&", "&amp;"))
    return f"\\{line}" if line[:1] in "+-=" and line else line


def table(header: Row, rows: Iterable[Row], *, numbers: int | None = None) -> str:
    """Write a table; columns from position `numbers` on are right-aligned. Cells must be escaped already."""
    aligned = len(header) if numbers is None else numbers
    rule = ["---" if column < aligned else "---:" for column in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])
