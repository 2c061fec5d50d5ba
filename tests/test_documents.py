"""The documents are one site and say what the code says: navigation, written pages, commands, messages, examples.

What needs mkdocs, such as links to headings, `make docs` checks.
"""

import ast
import importlib
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from llmtl.cli.entry import COMMANDS, full_parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SITE = ROOT / "mkdocs.yml"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not there")
PAGES = sorted(DOCS.rglob("*.md"))
WRITERS = sorted(path.stem for path in DOCS.glob("write_*.py") if "\nPAGE = " in path.read_text(encoding="utf-8"))
OUTSIDE = re.compile(r'^    "([\w/.-]+)": "([\w/.-]+)",$', re.MULTILINE)
ELSEWHERE = re.compile(r"(src=|@import|url\()[\s\"']*https?://")
VARIES = "…"
TICK = "\x01"
"""Stands for a backtick within a message."""


def named_in_navigation(entry):
    """Return the pages below an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    return [
        page for each in (entry.values() if isinstance(entry, dict) else entry) for page in named_in_navigation(each)
    ]


def settings():
    """Return what mkdocs.yml says."""
    return yaml.safe_load(SITE.read_text(encoding="utf-8"))


def test_every_page_stands_in_the_navigation_once():
    outside = OUTSIDE.findall((DOCS / "site_hooks.py").read_text(encoding="utf-8"))
    assert all((ROOT / source).is_file() for source, _ in outside)
    notebooks = [f"examples/{path.stem}.md" for path in (DOCS / "examples").glob("*.ipynb")]
    pages = {path.relative_to(DOCS).as_posix() for path in PAGES} | {page for _, page in outside} | {*notebooks}
    assert sorted(named_in_navigation(settings()["nav"])) == sorted(pages)


def test_the_site_loads_nothing_from_elsewhere():
    theme = settings()
    assert theme["theme"]["font"] is False
    assert not {"extra_javascript", "repo_url", "site_url"} & set(theme)
    assert all("://" not in each for each in theme["extra_css"])
    for path in (*DOCS.glob("*.css"), *PAGES):
        assert not ELSEWHERE.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", WRITERS)
def test_a_page_that_is_written_from_the_code_is_current(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")  # so that what a script sets ends with the test
    monkeypatch.syspath_prepend(str(DOCS))
    script = importlib.import_module(name)
    assert script.page() == script.PAGE.read_text(encoding="utf-8"), f"run python docs/{name}.py"


def commands():
    """Return the page and the words of every `llmtl` command that stands in an indented block of a page."""
    found = []
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES):
        if path.parent.name == "reference":
            continue
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^    (?:\w+=\S+ )*(?:\.venv/bin/)?(llmtl \w.*)$", text, re.MULTILINE):
            found.append(pytest.param(line, id=f"{path.stem}: {line[:50]}"))
    return found


@pytest.fixture(scope="module")
def parser():
    """Return the parser of all commands."""
    return full_parser()


@pytest.mark.parametrize("line", commands())
def test_a_command_on_a_page_is_one_that_llmtl_takes(line, parser):
    [_, command, *words] = shlex.split(line.split(" > ")[0].split(" | ")[0], comments=True)
    assert command in {each.name for each in COMMANDS}
    ours = words[: words.index("--")] if "--" in words else words
    _, unknown = parser.parse_known_args([command, *ours])
    assert not [word for word in unknown if word.startswith("-")]
    assert all("=" in word for word in unknown), unknown  # overrides after an option


def said():
    """Return every text in the library as one string each, with what differs as `…`."""
    texts = []
    for path in (ROOT / "llmtl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [each.value if isinstance(each, ast.Constant) else VARIES for each in node.values]
                texts.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return texts


def test_the_messages_in_troubleshooting_are_those_of_the_code():
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^- `(.+)`$", page.replace("\\`", TICK), re.MULTILINE)
    texts = [*said(), *re.findall(r'f"(llmtl needs .*?)"\)', (ROOT / "install.py").read_text(encoding="utf-8"))]
    assert len(quoted) >= 20
    for message in quoted:
        parts = [re.escape(part) for part in message.replace(TICK, "`").split(VARIES)]
        pattern = re.compile(".*".join(parts), re.DOTALL)
        assert any(pattern.fullmatch(text) for text in texts), message


def test_the_guide_to_a_new_kind_shows_the_file_that_is_tested():
    page = (DOCS / "how-to" / "add-a-kind.md").read_text(encoding="utf-8")
    code = (ROOT / "tests" / "kinds" / "rating.py").read_text(encoding="utf-8")
    assert f"```python\n{code.rstrip()}\n```" in page


def test_version_and_addresses_agree_wherever_they_stand():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert f"## {project['version']} - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    own = [*project.get("urls", {}).values(), "github.com/llmtl", "llmtl.github.io", "llmtl.readthedocs"]
    others = [
        (path, url)
        for path in (*PAGES, SITE, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CITATION.cff")
        for url in own
        if url in path.read_text("utf-8")
    ]
    assert not others, "addresses of this project stand in pyproject.toml alone"


def test_the_forms_for_issues_can_be_read():
    for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        if path.name != "config.yml":
            assert {"name", "description", "body"} <= set(form)
            ids = [each["id"] for each in form["body"] if each["type"] != "markdown"]
            assert len(ids) == len(set(ids)) > 0


def test_notebooks_are_pages_with_their_text_and_code():
    for path in (DOCS / "examples").glob("*.ipynb"):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        assert first["cell_type"] == "markdown"
        assert "".join(first["source"]).startswith("# ")
