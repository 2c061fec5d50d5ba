"""The README's tree names every file of the library, once each in its folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="the README is not there")
def test_the_tree_names_every_module():
    tree = README.read_text(encoding="utf-8").split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    named = re.findall(r"^ +(\w+)\.py ", tree, flags=re.MULTILINE)
    there = [path.stem for path in (ROOT / "llmtl").rglob("*.py") if path.stem != "__init__"]
    assert sorted(named) == sorted(there)
