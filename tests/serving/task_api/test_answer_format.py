"""Which schemas all answers of a task fit, with jsonschema as the judge of every single answer."""

import json
from itertools import product

import jsonschema
import pytest

from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.serving.bundle.manifest import Output
from llmtl.serving.task_api.answer_format import AS_IT_IS, AnswerFormat
from llmtl.serving.task_api.requests import ChatRequest, RequestError
from llmtl.task import Task
from tests.support.small_bundle import small_bundle

LABELS = ("card", "card lost", 'the "refund"')
TEXTS = {
    "classification": LABELS,
    "multi-label": tuple(json.dumps(each) for each in ([], ["card"], list(LABELS))),
    "extraction": tuple(json.dumps(each) for each in ([], [{"type": "card", "text": 'a "b" \u2028'}] * 3)),
    "retrieval": ('["12", "7"]', "[]"),
    "generation": ("", "any text", 'a "b"\n\u2028', "x" * 5000),
}
KINDS = {"multi-label": MULTI_LABEL, "extraction": EXTRACTION, "retrieval": RETRIEVAL, "generation": GENERATION}


def format_of(kind):
    """Return what a task of a kind answers, where no language model writes."""
    if kind == "classification":
        return AnswerFormat.of(small_bundle(task=Task("t", LABELS)))
    labels = () if kind in ("retrieval", "generation") else LABELS
    task = Task("t", labels, kind=KINDS[kind], metric=KINDS[kind].metrics[0])
    return AnswerFormat.of(small_bundle(task=task, output=Output(task.kind.output)))


def of_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}


def one_field(name, value, **more):
    return {"type": "object", "properties": {name: value}, "required": [name], "additionalProperties": False, **more}


@pytest.mark.parametrize("kind", TEXTS)
def test_every_answer_is_json_where_json_is_asked_for(kind):
    answers = format_of(kind)
    for wanted in ({"type": "json_object"}, of_schema(dict(answers.object_schema))):
        notation = answers.writing(wanted)
        for text in TEXTS[kind]:
            told = json.loads(notation.write(text))
            jsonschema.validate(told, dict(answers.object_schema))
            assert told == {answers.key: json.loads(text) if answers.is_json else text}
    for wanted in (None, {"type": "text"}):
        assert answers.writing(wanted) == AS_IT_IS


FITTING = {
    "classification": [
        {"enum": list(LABELS)},
        {"type": "string"},
        {},
        one_field("queue", {"type": "string", "enum": [*LABELS, "more"], "title": "Queue"}),
        one_field("queue", {"anyOf": [{"const": "card"}, {"enum": list(LABELS[1:])}, {"type": "null"}]}),
        one_field("queue", {"$ref": "#/$defs/Queue"}, **{"$defs": {"Queue": {"enum": list(LABELS)}}}),
        {"$ref": "#/$defs/A", "$defs": {"A": one_field("a", {"type": ["string", "null"], "maxLength": 12})}},
        {"type": "object", "properties": {"why": {"type": "string"}, "label": {"enum": list(LABELS)}}},
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"allOf": [{"type": "object"}, one_field("label", {"minLength": 4})]},
    ],
    "multi-label": [
        {"type": "array", "items": {"enum": list(LABELS)}},
        one_field("tags", {"type": "array", "items": {"type": "string"}, "minItems": 0, "maxItems": 3}),
        one_field("tags", {"anyOf": [{"type": "array"}, {"type": "null"}]}),
    ],
    "extraction": [
        {"type": "array", "items": one_field("type", {"enum": list(LABELS)}) | {"additionalProperties": True}},
        one_field(
            "found",
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"type": {"enum": [*LABELS, "d"]}, "text": {"type": "string"}, "note": {}},
                    "required": ["text"],
                    "additionalProperties": False,
                },
            },
        ),
    ],
    "retrieval": [{"type": "array", "items": {"type": "string"}}, one_field("ids", {"type": "array"})],
    "generation": [{"type": "string"}, one_field("reply", {"type": "string"}), {"type": ["string", "null"]}],
}


@pytest.mark.parametrize(("kind", "schema"), [(kind, each) for kind, schemas in FITTING.items() for each in schemas])
def test_a_schema_that_all_answers_fit_is_met_by_each(kind, schema):
    notation = format_of(kind).writing(of_schema(schema))
    for text in TEXTS[kind]:
        jsonschema.validate(json.loads(notation.write(text)), schema)


DEEP = {"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}
WIDE = {"$defs": {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(30)}, "$ref": "#/$defs/a0"}


@pytest.mark.parametrize(
    ("kind", "schema", "reason"),
    [
        ("classification", {"enum": ["card"]}, "does not allow 'card lost'"),
        ("classification", one_field("queue", {"enum": ["card", "card lost"]}), "it does not allow 'the \"refund\"'"),
        ("classification", one_field("queue", {"const": "card"}), "does not allow 'card lost'"),
        ("classification", one_field("queue", {"type": "integer"}), "another type than 'string'"),
        ("classification", one_field("queue", {"type": "string", "maxLength": 5}), "'card lost' is not as long"),
        (
            "classification",
            one_field("queue", {"pattern": "^(a+)+$"}),
            "'pattern' is not among those that are followed",
        ),
        ("classification", one_field("queue", {"enum": list(LABELS)}, required=["queue", "why"]), "requires 'why'"),
        ("classification", one_field("queue", False), "allows nothing"),
        ("classification", {"type": "object", "additionalProperties": False}, "has no field 'label'"),
        ("classification", {"type": "array", "items": {}}, "another type"),
        ("classification", {"$ref": "https://example.com/schema"}, "refers to another schema"),
        ("classification", {"$ref": "#/$defs/none"}, "refers to nothing"),
        ("classification", {"$ref": "#"}, "too large"),
        ("classification", DEEP, "too large"),
        ("classification", WIDE, "too large|refers to nothing"),
        ("classification", {"anyOf": 3}, "should be a list"),
        ("classification", {"properties": {"a": 3}}, "not a schema"),
        ("classification", {"properties": {"a": {"enum": 3}}}, "should be a list"),
        ("classification", {"properties": {"a": {"minLength": "3"}}}, "should be a number"),
        ("multi-label", one_field("tags", {"type": "array", "minItems": 1}), "may be empty"),
        ("multi-label", one_field("tags", {"type": "array", "maxItems": 2}), "may be longer"),
        (
            "multi-label",
            one_field("tags", {"type": "array", "items": {"enum": ["card"]}}),
            "does not allow 'card lost'",
        ),
        ("multi-label", one_field("tags", {"type": "array", "uniqueItems": True}), "'uniqueItems' is not among"),
        ("multi-label", one_field("tags", {"enum": [[]]}), "allows only some of the answers"),
        ("extraction", {"type": "array", "items": one_field("type", {})}, "has no field 'text'"),
        ("extraction", {"type": "array", "items": {"required": ["start"]}}, "requires 'start'"),
        ("retrieval", {"type": "array", "maxItems": 10}, "may be longer"),
        ("generation", one_field("reply", {"type": "string", "maxLength": 100}), "how long a text will be"),
        ("generation", one_field("reply", {"enum": ["yes"]}), "any text"),
    ],
)
def test_a_schema_that_some_answer_breaks_is_refused_with_one_that_fits(kind, schema, reason):
    answers = format_of(kind)
    with pytest.raises(RequestError, match=reason) as caught:
        answers.writing(of_schema(schema))
    error = caught.value
    assert (error.status, error.code, error.param) == (400, "schema_cannot_be_met", "response_format")
    fitting = json.loads(str(error).partition("a schema that they fit is ")[2].removesuffix("."))
    assert fitting == answers.object_schema
    assert answers.writing(of_schema(fitting)) == answers.writing({"type": "json_object"})


def test_nothing_is_promised_that_an_answer_breaks():
    """Try all schemas of a small family: what is accepted, every label fits, by jsonschema; and much is accepted."""
    parts = [
        {}, {"type": "string"}, {"enum": list(LABELS)}, {"enum": ["card"]}, {"const": "card"}, {"type": "null"},
        {"maxLength": 9}, {"minLength": 5}, {"not": {}}, True, False,
    ]  # fmt: skip
    accepted = 0
    for first, second, combine in product(parts, parts, ("allOf", "anyOf")):
        field = {combine: [first, second]}
        for schema in (
            one_field("a", field),
            field,
            {"$defs": {"x": field}, "properties": {"b": {"$ref": "#/$defs/x"}}},
        ):
            try:
                notation = format_of("classification").writing(of_schema(schema))
            except RequestError:
                continue
            accepted += 1
            for label in LABELS:
                jsonschema.validate(json.loads(notation.write(label)), schema)
    assert accepted > 100


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ("json_object", "whose 'type' is text, json_object or json_schema"),
        ({"type": "xml"}, "whose 'type' is"),
        ({"type": ["text"]}, "whose 'type' is"),
        ({}, "whose 'type' is"),
        ({"type": "json_schema"}, "must be a JSON schema"),
        ({"type": "json_schema", "json_schema": {"schema": True}}, "must be a JSON schema"),
    ],
)
def test_what_is_no_format_is_refused(wanted, reason):
    with pytest.raises(RequestError, match=reason):
        format_of("classification").writing(wanted)


def test_no_label_and_no_json_is_cut_short():
    labels, texts = format_of("classification"), format_of("generation")
    assert labels.saying(ChatRequest("x", {}, stop=("\n", "###")), None).say("card") == "card"
    assert texts.saying(ChatRequest("x", {}, stop=("b", "\n")), None).say("a\nb") == "a"
    for answers, stop, wanted in (
        (labels, " lost", None),
        (labels, "}", {"type": "json_object"}),
        (texts, "b", {"type": "json_object"}),
    ):
        with pytest.raises(RequestError, match="would cut") as caught:
            answers.saying(ChatRequest("x", {}, stop=(stop,)), wanted)
        assert caught.value.param == "stop"


def test_what_stands_for_an_answer_is_not_put_into_json():
    with pytest.raises(RequestError, match="leave one of them out") as caught:
        format_of("classification").saying(ChatRequest("x", {}, abstain=True), {"type": "json_object"})
    assert caught.value.param == "abstain"
    assert format_of("classification").saying(ChatRequest("x", {}, abstain=True), None).say("card") == "card"
