"""The words of a question and how a reply is read."""

import json

import jsonschema
import pytest

from llmtl.judging.asking import SCHEMA, Brief, read_answer
from llmtl.task import Example

EXAMPLE = Example("1", "name[Blue Spice], area[city centre]", "Blue Spice is central.", ("It is in the centre.",))


def test_a_question_shows_material_in_order_and_names_no_strategy():
    [system, user] = Brief("Say it in a sentence.", "Be right.", show_references=True).messages(EXAMPLE, "one", "two")
    assert (system["role"], user["role"]) == ("system", "user")
    shown = ["Be right.", "Say it in a sentence.", EXAMPLE.text, EXAMPLE.reference, *EXAMPLE.alternatives, "one", "two"]
    places = [user["content"].index(f"\n{text}\n") for text in shown]
    assert places == sorted(places)
    assert "<output_A>\none\n</output_A>\n<output_B>\ntwo\n</output_B>" in user["content"]


def test_references_can_be_kept_from_the_judge():
    [_, user] = Brief("Say it.", "Be right.", show_references=False).messages(EXAMPLE, "one", "two")
    assert EXAMPLE.reference not in user["content"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"verdict": "A"}', "A"),
        ('{ "verdict":"tie" }', "tie"),
        ('```json\n{"verdict": "B"}\n```', "B"),
        ('I prefer the second. {"verdict": "B"}', "B"),
        ("[[A]]", "A"),
        ("B.", "B"),
        (" TIE\n", "tie"),
        ("a", "A"),
        ("", None),
        ("A or B", None),
        ("Output A is better", None),
        ('{"verdict": "C"}', None),
        ('{"verdict": "A"}, {"verdict": "B"}', None),
        ('{"verdict": null}', None),
    ],
)
def test_a_reply_says_one_thing_or_nothing(text, expected):
    assert read_answer(text) == expected


def test_the_schema_admits_just_the_three_answers():
    for answer in ("A", "B", "tie"):
        jsonschema.validate({"verdict": answer}, SCHEMA)
        assert read_answer(json.dumps({"verdict": answer})) == answer
    for wrong in ({"verdict": "C"}, {}, {"verdict": "A", "why": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)
