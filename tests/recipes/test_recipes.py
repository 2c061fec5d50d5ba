"""The recipes: each can be read, generated data comes out byte for byte, and test messages repeat no other message."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from llmtl.data import LoadedData, load_examples, without_rare_labels
from llmtl.data.near_duplicates import clusters
from llmtl.settings import load_recipe
from llmtl.task import Example

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "recipes").glob("*/recipe.yaml"))
GENERATED = [
    pytest.param(folder, file, id=f"{folder.name}-{file.stem}")
    for folder in FOLDERS
    if (folder / "make_data.py").is_file()
    for file in sorted([*folder.glob("data.*"), *folder.glob("test.*")])
]
WITH_TEST = [folder for folder in FOLDERS if any(folder.glob("test.*"))]
N = 5
"""Words in a row that a test message may not share with another one."""
pytestmark = pytest.mark.skipif(not FOLDERS, reason="the recipes folder is not there")


def loaded(folder: Path) -> LoadedData:
    recipe = load_recipe(folder)
    return load_examples(recipe.data, recipe.task.labels, kind=recipe.task.kind)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_recipe_is_read_and_keeps_every_row_of_its_data(folder: Path):
    recipe = load_recipe(folder)
    assert recipe.name == folder.name
    data = loaded(folder)
    lost = data.cleaning
    assert not [*lost.incomplete, *lost.duplicates, *lost.conflicts, *lost.leaked, *lost.merged]
    assert lost.rows == len(data.examples) + len(data.test or ())
    assert without_rare_labels(data, recipe.data).labels == data.labels
    assert len(data.labels) >= 4 or not recipe.task.kind.has_labels


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_label_occurs_in_test_where_test_is_a_file_of_its_own(folder: Path):
    data, kind = loaded(folder), load_recipe(folder).task.kind
    if data.test is None or not kind.has_labels:
        return
    counts = Counter(label for example in data.test for label in kind.counted(example.reference))
    assert set(counts) == set(data.labels)
    assert min(counts.values()) >= 5


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_readme_has_the_command_the_marks_and_a_row_in_the_table(folder: Path):
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert f"    llmtl run recipes/{folder.name}\n" in text
    assert text.index("<!-- measured -->\n") < text.index("<!-- /measured -->")
    for page in (ROOT / "README.md", ROOT / "recipes" / "README.md"):
        assert f"| [`{folder.name}`](" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(("folder", "file"), GENERATED)
def test_the_generator_reproduces_the_data(folder: Path, file: Path, tmp_path: Path):
    out = tmp_path / file.name
    part = [] if file.stem == "data" else [file.stem]
    subprocess.run([sys.executable, folder / "make_data.py", *part, "--out", out], check=True, capture_output=True)
    assert out.read_bytes() == file.read_bytes()


def texts_of(examples: tuple[Example, ...]) -> list[str]:
    return [example.text for example in examples]


def grams(text: str) -> set[tuple[str, ...]]:
    """The word 5-grams of a text; a shorter text has none."""
    words = re.findall(r"[^\W_]+", text.lower())
    return {tuple(words[start : start + N]) for start in range(len(words) - N + 1)}


@pytest.mark.parametrize("folder", WITH_TEST, ids=lambda path: path.name)
def test_no_test_message_comes_near_another_message(folder: Path):
    data = loaded(folder)
    others, tests = texts_of(data.examples), texts_of(data.test or ())
    assert tests
    assert len(set(clusters([*others, *tests], 0.5))) == len(others) + len(tests)
    assert not set().union(*map(grams, tests)) & set().union(*map(grams, others))
