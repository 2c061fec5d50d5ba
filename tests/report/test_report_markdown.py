import pytest
from markdown_it import MarkdownIt

from llmtl.report import markdown
from llmtl.report.markdown_pieces import escape
from tests.support.report_factory import VARIANTS, hostile, make_content


def parse(text):
    return MarkdownIt("commonmark").enable("table").parse(text)


def tables(tokens):
    """Yield the number of cells of each row, table by table."""
    rows = []
    for token in tokens:
        if token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append(0)
        elif token.type in ("td_open", "th_open"):
            rows[-1] += 1
        elif token.type == "table_close":
            yield rows


@pytest.mark.parametrize("variant", VARIANTS)
def test_tables_are_well_formed(variant):
    text = markdown(VARIANTS[variant]())
    found = list(tables(parse(text)))
    started = text.count("\n| --- |") + text.count("\n| ---: |")
    assert len(found) == started >= 3
    assert all(len(set(rows)) == 1 and len(rows) >= 2 for rows in found)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert sum(len(rows) + 1 for rows in found) == len(lines)


def test_sections_appear_in_order():
    text = markdown(make_content())
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Use qlora: right 96 times in 100, above your target of 85",
        "## Why",
        "## Read with care",
        "## All reasons",
        "## What would change it",
        "## Strategies",
        "## Comparisons on test",
        "## Did it transfer?",
        "## Learning curve of qlora",
        "## Search of few-shot on dev",
        "## What qlora gets wrong",
        "## Where the strategies disagree",
        "## Data checks",
        "## Skipped strategies",
        "## How it was measured",
        "## Provenance",
    ]


def test_strategy_row_holds_score_interval_cost_and_latency():
    row = next(line for line in markdown(make_content()).splitlines() if line.startswith("| **qlora**"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == ["tuning", "winner, chosen on dev"]
    assert cells[3] == "0.958 (0.90\u20130.98)"
    assert cells[5:] == ["0", "$0.0011", "13 ms", "18 ms", "3 min 20 s"]


def test_texts_from_outside_stay_text():
    tokens = parse(markdown(hostile()))
    inline = [child for token in tokens for child in token.children or []]
    assert not [token for token in [*tokens, *inline] if token.type.startswith(("html", "link", "code", "fence"))]
    shown = "".join(child.content for child in inline if child.type in ("text", "text_special"))
    assert "<script>alert('x')</script>" in shown
    assert [token.tag for token in tokens if token.type == "heading_open"].count("h1") == 1


@pytest.mark.parametrize(
    "text", ["a|b", "*a*", "# a", "- a", "+ a", "=", "<b>", "&lt;", "[a](b)", "`a`", "~~a~~", "a\nb"]
)
def test_escape_shows_text_as_it_is_on_one_line(text):
    paragraph = parse(escape(text))
    assert [token.type for token in paragraph] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(child.content for child in paragraph[1].children) == " ".join(text.split())
