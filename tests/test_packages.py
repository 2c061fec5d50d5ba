"""Every package that llmtl imports is declared, every declared one is imported, and a missing one is one line."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from llmtl.errors import MissingPackageError
from llmtl.packages import EXTRAS, LOCAL, TUNING, require

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
AT_RUN_TIME = ("local", "tuning", "playground", "embeddings", "gguf", "excel", "signing", "onnx", "cpu", "gpu")


def named(requirements: list[str]) -> set[str]:
    """Return the distributions that requirements name, in canonical form, llmtl's own extras left out."""
    names = {re.split(r"[\[=<>~; ]", each, maxsplit=1)[0] for each in requirements}
    return {canonical(name) for name in names} - {"llmtl"}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> dict[str, str]:
    """Return the top-level modules of other packages that llmtl imports anywhere, each with one place."""
    found = {}
    for path in (ROOT / "llmtl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            else:
                continue
            found |= {name.partition(".")[0]: f"{path.relative_to(ROOT)}:{node.lineno}" for name in names}
    return {name: place for name, place in found.items() if name not in {*sys.stdlib_module_names, "llmtl"}}


CORE = named(PROJECT["dependencies"])
DECLARED = CORE.union(*(named(PROJECT["optional-dependencies"][extra]) for extra in AT_RUN_TIME))
HOMES = {module: {canonical(name) for name in names} for module, names in packages_distributions().items()}


def test_every_imported_package_is_declared():
    undeclared = {
        f"{module} ({place})"
        for module, place in imported().items()
        if not HOMES.get(module, {canonical(module)}) & DECLARED
    }
    assert undeclared == set()


def test_every_declared_package_is_imported():
    there = imported()
    used = {name for module in there for name in HOMES.get(module, {canonical(module)})}
    installed = set().union(*HOMES.values())
    assert (DECLARED & installed) - used == set()


def test_what_comes_with_an_extra_is_in_no_plain_installation():
    extras = PROJECT["optional-dependencies"]
    assert {canonical(module) for module in EXTRAS} & CORE == set()
    assert {canonical(module) for module in LOCAL} == named(extras["local"])
    assert {canonical(module) for module in set(TUNING) - set(LOCAL)} == named(extras["tuning"])
    for module, extra in EXTRAS.items():
        for name in re.findall(r"llmtl\[(\w+)\]", extra):
            assert any(each.startswith(canonical(module)) for each in named(extras[name]))


def test_every_file_beside_the_code_is_installed_with_it():
    globs = PYPROJECT["tool"]["setuptools"]["package-data"]["llmtl"]
    library = ROOT / "llmtl"
    installed = {path for glob in globs for path in library.glob(glob)}
    there = {path for path in library.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    records = {path for path in there if path.is_relative_to(library / "pocket" / "logs") or path.name == "README.md"}
    assert there - records == installed


def test_a_missing_package_is_one_line_with_its_cure(monkeypatch: pytest.MonkeyPatch):
    require("The playground", "json", "ast")
    monkeypatch.setitem(sys.modules, "gradio", None)  # as if it were not installed
    with pytest.raises(MissingPackageError) as caught:
        require("The playground", "json", "gradio")
    assert str(caught.value) == "The playground needs gradio; install it with: pip install 'llmtl[playground]'"
    assert caught.value.exit_code == 2
