"""Which encoder a run uses, and what becomes of strategies that need one where it cannot be had."""

import itertools
import json
import shutil

import pytest

from llmtl.errors import ModelError, RecipeError
from llmtl.pipeline.prepare import prepare
from llmtl.progress import Silent
from llmtl.recipe import validate
from llmtl.settings import Recipe

WORDS = [
    "card",
    "blue",
    "seven",
    "garden",
    "letter",
    "monday",
    "river",
    "paper",
    "window",
    "engine",
    "coffee",
    "ticket",
    "north",
    "silver",
]


class Listening(Silent):
    def __init__(self):
        self.said = []

    def say(self, line):
        self.said.append(line)


@pytest.fixture
def prepared(tmp_path):
    """Prepare a run of a recipe with these changes; gives the names of its strategies, and what was said."""
    texts = [" ".join(words) for words in itertools.combinations(WORDS, 3)][:120:2]
    rows = [f"{text},{('refund', 'login')[at % 2]}" for at, text in enumerate(texts)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")

    def make(*run, **changes):
        recipe = {
            "name": "desk",
            "data": {"path": str(tmp_path / "data.csv")},
            "model": {"name": "pocket-llama"},
            "strategies": {"run": list(run)} if run else {},
            **changes,
        }
        progress = Listening()
        found = prepare(validate(Recipe, recipe, source="test"), progress)
        return [each.name for each in found.strategies], found.encoder, progress.said

    return make


def test_a_recipe_without_an_encoder_measures_nothing_that_needs_one(prepared):
    names, encoder, _ = prepared(encoder=None)
    assert encoder is None
    assert "tfidf" in names
    assert "embedding-head" not in names


def test_a_strategy_that_needs_an_encoder_is_refused_without_one(prepared):
    with pytest.raises(RecipeError, match="'embedding-head' needs an encoder; set encoder=minilm"):
        prepared("tfidf", "embedding-head", encoder=None)


def test_an_encoder_that_was_asked_for_must_be_there(prepared, tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        prepared("tfidf", "embedding-head", encoder=str(tmp_path))
    with pytest.raises(ModelError, match=str(tmp_path)):
        prepared(encoder=str(tmp_path))


def test_where_nobody_asked_for_the_default_encoder_it_may_be_missing(prepared, monkeypatch):
    def missing(_source):
        raise ModelError("The encoder 'minilm' is out of reach.")

    monkeypatch.setattr("llmtl.pipeline.prepare.inspect_encoder", missing)
    names, encoder, said = prepared()
    assert encoder is None
    assert "embedding-head" not in names
    [line] = [each for each in said if "encoder" in each]
    assert line.startswith("Left out for want of an encoder: ")
    assert line.endswith("The encoder 'minilm' is out of reach.")
    assert "embedding-head" in line
    with pytest.raises(ModelError):
        prepared("tfidf", "embedding-head")
    assert prepared("majority", "tfidf")[0] == ["majority", "tfidf"]


def test_no_encoder_is_looked_for_where_nobody_reads_with_one(prepared):
    assert prepared("majority", "tfidf", encoder="nowhere/at-all")[0] == ["majority", "tfidf"]


def test_an_embedded_language_model_is_named_as_no_encoder(prepared):
    with pytest.raises(ModelError, match="is a language model that reads to the left only"):
        prepared(encoder="pocket-llama", strategies={"run": ["majority", "embedding-head"]})


@pytest.mark.parametrize("strategy", ["embedding-head", "setfit", "encoder"])
def test_an_encoder_whose_parts_do_not_fit_is_refused_before_anything_is_measured(
    prepared, tiny_encoder, tmp_path, strategy
):
    folder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 5}))
    with pytest.raises(ModelError, match="lacks weights"):
        prepared("majority", strategy, encoder=str(folder))
