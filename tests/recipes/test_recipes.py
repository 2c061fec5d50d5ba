"""The recipes: each can be read, its data comes out of its generator byte for byte, and its labels are in the data."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from llmtl.settings import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FOLDERS = sorted(path.parent for path in RECIPES.glob("*/recipe.yaml"))
pytestmark = pytest.mark.skipif(not FOLDERS, reason="the recipes folder is not there")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_recipe_is_read_and_finds_its_data(folder: Path):
    recipe = load_recipe(folder)
    assert recipe.name == folder.name
    with Path(recipe.data.path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row[recipe.data.label] for row in rows}) >= 4
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_generator_reproduces_the_data(folder: Path, tmp_path: Path):
    out = tmp_path / "data.csv"
    subprocess.run([sys.executable, folder / "make_data.py", "--out", out], check=True, capture_output=True)
    assert out.read_bytes() == (folder / "data.csv").read_bytes()
