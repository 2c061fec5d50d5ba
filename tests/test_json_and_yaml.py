"""JSON and YAML from anywhere: a value, or the parser's own error."""

import json

import pytest
import yaml

from llmtl.json_and_yaml import DEEPEST, parse_json, parse_yaml, yaml_problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"a": "\xff"}', "not UTF-8"),
        ("[" * 1000 + "]" * 1000, "nested too deeply"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested too deeply"),
        ("[[]," * (DEEPEST + 1) + "0" + "]" * (DEEPEST + 1), "nested too deeply"),
        ("1" * 4301, "more digits"),
        ('["\\ud800"]', "surrogate"),
        ('{"\\udc00": 1}', "surrogate"),
        ('"\ud83d"', "surrogate"),
        ("[1", "Expecting ','"),
        ("", "Expecting value"),
    ],
)
def test_json_that_cannot_be_read_is_one_error(content, problem):
    with pytest.raises(json.JSONDecodeError, match=problem):
        parse_json(content)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True, "é\u2028"]}, "\U0001f600", [[]] * 500, [[[1]] * 3] * 100],
)
def test_json_round_trips(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


def test_long_numbers_and_half_pairs_are_for_those_who_look_for_them():
    assert parse_json("1" * 4301, whole=str) == "1" * 4301
    assert parse_json('"\\ud800"', half_pairs=True) == "\ud800"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a: " + "1" * 5000, "digits"),
        ("a: 2024-13-45", "month"),
        ("a: !!int abc", "cannot be read"),
        ("a: !!timestamp 'x'", "cannot be read"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("[" * 1000 + "]" * 1000, "nested too deeply"),
        ("a: &x 1\nb: *x", "line 2, aliases"),
        ("a: &x [*x]", "aliases"),
        ("a: [" + "1," * 50_001 + "1]", "more than 50,000 values"),
        ("a: 1\na: 2", "'a' appears twice"),
        ('a: "\\ud800"', "surrogate"),
        (b"a: \xff", "not UTF-8"),
        ("a: \x00", "special characters"),
    ],
)
def test_yaml_that_cannot_be_read_is_one_error(content, problem):
    with pytest.raises(yaml.YAMLError) as caught:
        parse_yaml(content)
    assert problem in yaml_problem(caught.value)


def test_yaml_is_read_alike_when_a_library_has_changed_pyyaml_for_everybody(monkeypatch):
    constructors = yaml.SafeLoader.yaml_constructors
    monkeypatch.setitem(constructors, "tag:yaml.org,2002:timestamp", constructors["tag:yaml.org,2002:str"])
    assert yaml.safe_load("a: 2024-13-45") == {"a": "2024-13-45"}
    with pytest.raises(yaml.YAMLError, match="month"):
        parse_yaml("a: 2024-13-45")


def test_a_bomb_of_aliases_is_refused_at_its_first_alias():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(yaml.YAMLError, match="aliases"):
        parse_yaml(bomb)
