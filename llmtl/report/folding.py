"""What a narrow screen and a short page need of the HTML: sections that fold, tables that stack.

Works on the markup of the templates, so that a section or a table need not know. Not covered: looks (`report.css`).
"""

import re

from markupsafe import Markup

GISTS = {
    "cost": "which strategies no other beats on both",
    "comparisons": "differences with intervals and p-values",
    "automation": "the share of inputs that needs no person",
    "judge": "what a model that judges the answers prefers",
    "served": "latency and throughput of the live endpoint",
    "labels": "what labelling more would bring",
    "noise": "and whether they decided",
    "wrong-answers": "and which strategy that speaks for",
    "money": "bills by volume, fitting, what this decision cost",
    "fitting": "training curves and prompts tried",
    "examples": "inputs on which they differ",
    "checks": "duplicates, leaks, odd labels",
    "skipped": "and why",
    "measured": "splits, statistics, hardware",
    "provenance": "data, model, seed, versions",
    "glossary": "verdict, baseline, interval, p",
}
"""What a folded section holds, in a few words beside its title; a section may say it itself, as `data-gist`."""

_SECTION = re.compile(r'(<section id="([\w-]+)"[^>]*>)\s*(<h2[^>]*>.*?</h2>)(.*?)(</section>)', re.DOTALL)
_GIST = re.compile(r'data-gist="([^"]*)"')
_TABLE = re.compile(r"<table(?![^>]*\bconfusion\b)[^>]*>.*?</table>", re.DOTALL)
_HEAD = re.compile(r"<thead.*?</thead>", re.DOTALL)
_HEADING = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_ROW = re.compile(r"<tr\b.*?</tr>", re.DOTALL)
_CELL = re.compile(r"<t[dh]\b(?=[ >])")
_TAG = re.compile(r"<[^>]*>")


def folded(body: str) -> Markup:
    """Put what follows the title of each section into a part that opens; the title stays."""

    def fold(found: re.Match[str]) -> str:
        opening, name, title, rest, end = found.groups()
        own = _GIST.search(opening)
        said = own[1] if own else GISTS.get(name)
        gist = f' <span class="gist">{said}</span>' if said else ""
        return f'{opening}<details class="part"><summary>{title}{gist}</summary>{rest}</details>{end}'

    return Markup(_SECTION.sub(fold, str(body)))


def stacked(page: str) -> str:
    """Name the column in each cell of the tables, for screens on which cells stand below each other."""
    return _TABLE.sub(lambda found: _named_cells(found[0]), page)


def _named_cells(table: str) -> str:
    head = _HEAD.search(table)
    if head is None or head[0].count("<tr") != 1 or "colspan" in table:
        return table
    names = [" ".join(_TAG.sub("", name).split()).replace('"', "&#34;") for name in _HEADING.findall(head[0])]

    def row(found: re.Match[str]) -> str:
        columns = iter(names)

        def cell(begun: re.Match[str]) -> str:
            name = next(columns, "")
            return begun[0] if begun[0] == "<th" else f'{begun[0]} data-label="{name}"'

        return _CELL.sub(cell, found[0])

    return f"{table[: head.end()]}{_ROW.sub(row, table[head.end() :])}"
