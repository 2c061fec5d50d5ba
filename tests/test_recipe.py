"""Strict configuration."""

from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field

from llmtl.errors import MissingFileError, RecipeError
from llmtl.recipe import ShortSection, apply_overrides, json_schema, read_yaml, validate, written_out


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rank: int = Field(default=8, ge=1)
    rate: float | None = None


class Short(ShortSection):
    model_config = ConfigDict(extra="forbid")
    short_for = "names"
    names: tuple[str, ...] | None = None
    rank: int = 8


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner = Inner()
    optional: Inner | None = None
    short: Short | None = None


def test_overrides_are_read_as_yaml_and_leave_the_original_alone():
    document = {"inner": {"rank": 4}, "name": "a"}
    result = apply_overrides(document, ["inner.rank=16", "inner.rate=1e-3", "name=b", "optional.rank=2"])
    assert result == {"inner": {"rank": 16, "rate": "1e-3"}, "name": "b", "optional": {"rank": 2}}
    assert document == {"inner": {"rank": 4}, "name": "a"}
    assert validate(Outer, result, source="it").inner.rate == 1e-3


def test_every_malformed_override_is_listed():
    with pytest.raises(RecipeError, match=r"'rank' is not an override.*'=3' is not an override"):
        apply_overrides({}, ["rank", "=3"])


def test_all_problems_are_listed_at_once_with_the_nearest_name():
    document = {"nam": "x", "inner": {"rnk": 3, "rank": 0}, "optional": {"zzz": 1}}
    with pytest.raises(RecipeError) as caught:
        validate(Outer, document, source="'r.yaml'")
    text = str(caught.value)
    assert text.startswith("'r.yaml' has 5 problems: ")
    assert "'name' is missing" in text
    assert "unknown key 'nam' (did you mean 'name'?)" in text
    assert "unknown key 'inner.rnk' (did you mean 'rank'?)" in text
    assert "'inner.rank': input should be greater than or equal to 1, got 0" in text
    assert "unknown key 'optional.zzz' (valid here: rank, rate)" in text
    assert "\n" not in text


@pytest.mark.parametrize("key", ["inner", "optional"])
@pytest.mark.parametrize("value", [3, "x", ["x"], True])
def test_a_value_in_the_place_of_a_section_is_told_what_belongs_there(key, value):
    with pytest.raises(RecipeError) as caught:
        validate(Outer, {"name": "x", key: value}, source="'r.yaml'")
    said = f"'r.yaml' has 1 problem: '{key}' is a section; write keys and values below it (valid here: rank, rate)."
    assert str(caught.value) == said


def test_a_section_may_be_the_value_of_its_chief_key():
    short, whole = ({"name": "x", "short": short} for short in (["a", "b"], {"names": ["a", "b"]}))
    assert validate(Outer, short, source="it") == validate(Outer, whole, source="it")
    for document in (short, whole):
        jsonschema.validate(document, json_schema(Outer))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "short": 3}, json_schema(Outer))
    assert apply_overrides(written_out(Outer, short), ["short.rank=3"])["short"] == {"names": ["a", "b"], "rank": 3}
    assert written_out(Outer, whole) == whole


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: 1\na: 2\n", "the key 'a' appears twice"),
        ("a: [1\n", "not valid YAML: line 2"),
        ("- 1\n", "must hold a mapping"),
    ],
)
def test_unreadable_yaml_is_one_line(tmp_path: Path, content: str, expected: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=expected) as caught:
        read_yaml(path)
    assert "\n" not in str(caught.value)


def test_a_missing_and_a_non_utf8_recipe(tmp_path: Path):
    with pytest.raises(MissingFileError, match="There is no recipe"):
        read_yaml(tmp_path / "none.yaml")
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(RecipeError, match=r"not UTF-8 \(byte 9\)"):
        read_yaml(path)


def test_the_schema_accepts_what_validation_accepts():
    schema = json_schema(Outer)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate({"name": "a", "inner": {"rank": 3}}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "a", "iner": {}}, schema)
