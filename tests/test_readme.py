"""The documents are true: every folder has its line, the floors are drawn as they are, links lead somewhere."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not there")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def test_the_tree_names_every_folder_of_the_library():
    tree = (
        (DOCS / "concepts" / "architecture.md")
        .read_text(encoding="utf-8")
        .split("<!-- tree -->")[1]
        .split("<!-- /tree -->")[0]
    )
    named = re.findall(r"^  (\w+)/ ", tree, flags=re.MULTILINE)
    assert sorted(named) == sorted(path.parent.name for path in (ROOT / "llmtl").glob("*/__init__.py"))


def test_the_readme_is_short():
    assert 120 <= len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_the_floors_are_drawn_with_every_part_of_the_contract():
    sys.path.insert(0, str(DOCS))
    try:
        import draw_floors
    finally:
        sys.path.remove(str(DOCS))
    kept = (DOCS / "concepts" / "floors.svg").read_text(encoding="utf-8")
    names = [name for floor in draw_floors.floors(ROOT) for name in floor]
    assert re.findall(r'class="name"[^>]*>([^<]+)<', kept) == names
    assert draw_floors.draw(ROOT).startswith("<svg")


def test_the_table_of_strategies_is_what_they_say_of_themselves():
    sys.path.insert(0, str(DOCS))
    try:
        import write_tables
    finally:
        sys.path.remove(str(DOCS))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert write_tables.written(text) == text
