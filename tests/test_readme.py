"""The README's tree names every part of the library."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


@pytest.mark.skipif(not README.is_file(), reason="the README is not there")
def test_the_tree_names_every_folder_of_the_library():
    tree = README.read_text(encoding="utf-8").split("<!-- tree -->")[1].split("<!-- /tree -->")[0]
    named = set(re.findall(r"^ +(\w+)/ ", tree, flags=re.MULTILINE))
    there = {path.parent.name for path in (ROOT / "llmtl").glob("*/__init__.py")}
    assert there <= named
