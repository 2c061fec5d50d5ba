"""The whole recipe."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from llmtl.errors import MissingFileError, RecipeError
from llmtl.recipe import json_schema
from llmtl.sections import EncoderConfig
from llmtl.settings import Recipe, load_recipe, recipe_for_data


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_data_is_found_beside_the_recipe_and_hub_names_are_left_alone(tmp_path: Path):
    (tmp_path / "rows.csv").write_text("text,label\na,b\n")
    path = write(tmp_path, "name: a\ndata: {path: rows.csv, test_path: owner/name}\nmodel: {name: pocket-llama}\n")
    data = load_recipe(path).data
    assert data.path == str(tmp_path / "rows.csv")
    assert data.test_path == "owner/name"
    assert load_recipe(tmp_path) == load_recipe(path)


def test_overrides_reach_every_section(tmp_path: Path):
    write(tmp_path, "name: a\ndata: {path: rows.csv}\nmodel: {name: pocket-llama}\n")
    recipe = load_recipe(tmp_path, ["strategies.qlora.rank=4", "decision.margin=0.05", "seed=3"])
    assert (recipe.strategies.qlora.rank, recipe.decision.margin, recipe.seed) == (4, 0.05, 3)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", EncoderConfig(name="minilm")),
        ("encoder: null\n", None),
        ("encoder: ours\n", EncoderConfig(name="ours")),
        ("encoder: {name: ours, revision: v1}\n", EncoderConfig(name="ours", revision="v1")),
    ],
)
def test_an_encoder_is_named_by_its_name_alone_or_left_out(tmp_path: Path, written: str, read: EncoderConfig | None):
    write(tmp_path, f"name: a\ndata: {{path: rows.csv}}\nmodel: {{name: pocket-llama}}\n{written}")
    assert load_recipe(tmp_path).encoder == read
    document = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    jsonschema.validate(document, json_schema(Recipe))


def test_data_model_and_strategies_may_be_named_alone(tmp_path: Path):
    write(tmp_path, "name: a\ndata: rows.csv\nmodel: pocket-llama\nstrategies: [tfidf, qlora]\n")
    (tmp_path / "rows.csv").write_text("")
    recipe = load_recipe(tmp_path, ["strategies.qlora.rank=4", "model.engine=vllm", "data.text=body"])
    assert (recipe.data.path, recipe.data.text) == (str(tmp_path / "rows.csv"), "body")
    assert (recipe.model.name, recipe.model.engine) == ("pocket-llama", "vllm")
    assert (recipe.strategies.run, recipe.strategies.qlora.rank) == (("tfidf", "qlora"), 4)
    jsonschema.validate(yaml.safe_load((tmp_path / "recipe.yaml").read_text()), json_schema(Recipe))


def test_a_recipe_without_sections_names_what_is_missing(tmp_path: Path):
    write(tmp_path, "name: a b\n")
    with pytest.raises(RecipeError, match=r"3 problems: 'name'.*'data' is missing; 'model' is missing"):
        load_recipe(tmp_path)


def test_a_data_file_names_its_run(tmp_path: Path):
    (tmp_path / "banking77").mkdir()
    (tmp_path / "banking77" / "train.csv").write_text("")
    (tmp_path / "my tickets.csv").write_text("")
    columns = {"text": "t", "label": "l", "model": "pocket-llama"}
    assert recipe_for_data(tmp_path / "banking77" / "train.csv", **columns).name == "banking77"
    assert recipe_for_data(tmp_path / "my tickets.csv", **columns).name == "my-tickets"
    for file, name in (
        ("d\u00e4 ta\u00b2.csv", "da-ta2"),
        ("\u65e5\u672c.csv", "run"),
        ("e\u0301t\u00e9 \u65e5.csv", "ete"),
    ):
        (tmp_path / file).touch()
        assert recipe_for_data(tmp_path / file, **columns).name == name
    assert recipe_for_data("owner/banking77", **columns).name == "banking77"
    with pytest.raises(MissingFileError):
        recipe_for_data(tmp_path / "none.csv", **columns)
