"""Hooks of the site: pages whose text stands outside of docs/, notebooks as pages, links into the repository.

A page links to files of the repository as it would on any host of Git repositories. For the site, links to what is a
page there become links to that page, and others lead to the repository where `pyproject.toml` has its address; where
it has none they name the file. A link to nothing stays as it is, so that `mkdocs build --strict` names it. Not covered:
the pages that `docs/write_*.py` write.
"""

import json
import os
import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "evals/README.md": "benchmarks.md",
    "evals/verdicts/README.md": "concepts/how-often-right.md",
    "recipes/README.md": "recipes.md",
    "serve/README.md": "how-to/containers.md",
}
"""Files of the repository that are pages of the site, and where."""
INSTEAD = {"README.md": "index.md"}
"""Files for which the site has a page of its own."""
LINK = re.compile(r"(?P<before>!?\[[^\]]*\]\()(?P<target>[^)#\s]+)(?P<anchor>#[^)]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the addresses of site and repository from `pyproject.toml`, as far as it has them."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"].get("urls", {})
    config.site_url = urls.get("Documentation")
    # not as repo_url, of which the theme asks GitHub for stars while a page loads
    repository = config.extra["repository"] = urls.get("Repository")
    if repository:
        config.extra["social"] = [{"icon": "material/source-repository", "link": repository, "name": "Source"}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of docs/ and the notebooks."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for notebook in sorted((ROOT / DOCS / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{notebook.stem}.md", content=_notebook(notebook)))
    return files


def on_page_markdown(markdown: str, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Turn links to files of the repository into links of the site."""
    here = page.file.src_uri
    sources = {site: source for source, site in OUTSIDE.items()}
    folder = PurePosixPath(sources.get(here, DOCS + here)).parent
    return LINK.sub(lambda link: _turned(link, folder, here, config.extra["repository"]), markdown)


def _turned(link: re.Match[str], folder: PurePosixPath, here: str, repository: str | None) -> str:
    target, anchor = link["target"], link["anchor"] or ""
    path = os.path.normpath(folder / target)
    if "://" in target or target.startswith("mailto:") or not (ROOT / path).exists():
        return link[0]
    site = (OUTSIDE | INSTEAD).get(path)
    if path.startswith(DOCS):
        site = path.removeprefix(DOCS)
        site = re.sub(r"\.ipynb$", ".md", site)
    if site is None or site == "examples":
        if repository is None:
            return _named(link["before"], path)
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{link['before']}{repository}/{kind}/main/{path}{anchor})"
    return f"{link['before']}{os.path.relpath(site, PurePosixPath(here).parent)}{anchor})"


def _named(before: str, path: str) -> str:
    """Write the text of a link without one, with the path behind it unless the text says it."""
    text = before.removeprefix("!").removeprefix("[").removesuffix("](")
    return text if path in text else f"{text} (`{path}`)"


def _notebook(path: Path) -> str:
    """Write a notebook as Markdown: its text, and its code to copy."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = ["".join(each["source"]) for each in cells]
    shown = [
        text if each["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for each, text in zip(cells, parts, strict=True)
    ]
    return "\n\n".join(shown) + "\n"
