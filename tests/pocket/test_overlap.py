"""No sentence, label set or instruction of a recipe occurs in the pre-training text: proof by 8-gram overlap.

Compared are the word 8-grams of every recipe text against those of the sentence frames and of a seeded sample of the
generated text, and whole label sets against those of drawn tasks.
"""

import csv
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from llmtl.pocket.corpus import plain_text, task_style
from llmtl.pocket.lexicon import load_frames, load_lexicon
from llmtl.pocket.tasks import draw_task

RECIPES = Path(__file__).parents[2] / "recipes"
FOLDERS = sorted(path.parent for path in RECIPES.glob("*/recipe.yaml"))
N = 8
N_DOCUMENTS = 8_000
pytestmark = pytest.mark.skipif(not FOLDERS, reason="no recipe is here")


def words(text: str) -> list[str]:
    """Lower-case words and numbers."""
    return re.findall(r"[^\W_]+", text.lower())


def grams(text: str) -> Iterator[tuple[str, ...]]:
    """The word 8-grams of a text; a shorter text has none."""
    found = words(text)
    return (tuple(found[i : i + N]) for i in range(len(found) - N + 1))


@cache
def trained_on() -> frozenset[tuple[str, ...]]:
    """The 8-grams of all frames, all lexicon lines and a sample of the generated text."""
    seen: set[tuple[str, ...]] = set()
    for frames in load_frames().values():
        for frame in frames:
            seen.update(grams(frame))
    for i, document in enumerate(plain_text(1, N_DOCUMENTS)):
        for part in re.split(r"<\|\w+\|>", document):
            if i % 10 == 8 or "Labels:" not in part:
                seen.update(grams(part))
            else:
                seen.update(grams(part.split("\n")[0]))
    return frozenset(seen)


@cache
def label_sets() -> frozenset[frozenset[str]]:
    """The label sets of drawn tasks, and of every domain with each concept's first name."""
    rng = Random(1)
    drawn = {frozenset(c.label.lower() for c in draw_task(task_style(1.0, 1024), rng).classes) for _ in range(20_000)}
    drawn |= {frozenset(c.names[0] for c in concepts) for concepts in load_lexicon().domains.values()}
    return frozenset(drawn)


def recipe(folder: Path) -> dict[str, Any]:
    """The recipe as plain data."""
    loaded = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def find(data: Any, key: str) -> Iterator[Any]:
    """Every value under `key` at any depth."""
    if isinstance(data, dict):
        for name, value in data.items():
            if name == key:
                yield value
            yield from find(value, key)
    elif isinstance(data, list):
        for value in data:
            yield from find(value, key)


def texts_of(folder: Path) -> Iterator[str]:
    """Every string cell of the recipe's data files."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file):
                yield from row
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from (str(value) for value in json.loads(line).values())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_no_sentence_of_the_recipe_is_in_the_pretraining_text(folder: Path) -> None:
    shared = {(" ".join(gram), text) for text in texts_of(folder) for gram in grams(text) if gram in trained_on()}
    assert not shared


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_no_instruction_of_the_recipe_is_in_the_pretraining_text(folder: Path) -> None:
    for instruction in find(recipe(folder), "instruction"):
        assert not [gram for gram in grams(str(instruction)) if gram in trained_on()]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_label_set_of_the_recipe_is_in_no_pretraining_task(folder: Path) -> None:
    for labels in find(recipe(folder), "labels"):
        names = labels if isinstance(labels, (list, dict)) else [labels]
        plain = frozenset(str(label).lower() for label in names)
        assert len(plain) < 2 or plain not in label_sets()


def test_the_comparison_finds_a_sentence_that_was_trained_on() -> None:
    document = next(text for text in plain_text(1, 50) if len(words(text)) > 60)
    parts = [part for part in re.split(r"<\|\w+\|>", document) if part and "Labels:" not in part]
    longest = max(parts, key=lambda part: len(words(part)))
    assert any(gram in trained_on() for gram in grams(longest))
