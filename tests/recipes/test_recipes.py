"""The recipes: each can be read, generated data comes out byte for byte, and test messages repeat no other message."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmtl.data.near_duplicates import clusters
from llmtl.settings import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
FOLDERS = sorted(path.parent for path in RECIPES.glob("*/recipe.yaml"))
GENERATED = [folder for folder in FOLDERS if (folder / "make_data.py").is_file()]
WITH_TEST = [folder for folder in FOLDERS if (folder / "test.csv").is_file()]
N = 5
"""Words in a row that a test message may not share with another one."""
pytestmark = pytest.mark.skipif(not FOLDERS, reason="the recipes folder is not there")


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_recipe_is_read_and_finds_its_data(folder: Path):
    recipe = load_recipe(folder)
    assert recipe.name == folder.name
    with Path(recipe.data.path).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row[recipe.data.label] for row in rows}) >= 4
    assert (folder / "README.md").is_file()


@pytest.mark.parametrize("folder", GENERATED, ids=lambda path: path.name)
def test_the_generator_reproduces_the_data(folder: Path, tmp_path: Path):
    out = tmp_path / "data.csv"
    subprocess.run([sys.executable, folder / "make_data.py", "--out", out], check=True, capture_output=True)
    assert out.read_bytes() == (folder / "data.csv").read_bytes()


def texts_of(path: Path) -> list[str]:
    """The messages of one file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def grams(text: str) -> set[tuple[str, ...]]:
    """The word 5-grams of a text; a shorter text has none."""
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[start : start + N]) for start in range(len(words) - N + 1)}


@pytest.mark.parametrize("folder", WITH_TEST, ids=lambda path: path.name)
def test_no_test_message_comes_near_another_message(folder: Path):
    others, tests = texts_of(folder / "data.csv"), texts_of(folder / "test.csv")
    assert len(set(clusters([*others, *tests], 0.5))) == len(others) + len(tests)
    assert not set().union(*map(grams, tests)) & set().union(*map(grams, others))
