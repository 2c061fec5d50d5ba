"""The wording of tasks other than classification, with real tokenizers and chat templates."""

import json
import random

import jsonschema
import pytest

from llmtl.answers import Span, read_spans, write_spans
from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.places import Named, place
from llmtl.prompting.template import Template
from llmtl.task import Example, Metric, Task

LABELS = Task("topics", ("card", "refund/charge", 'say "hi"'), "List.", Metric.MICRO_F1, kind=MULTI_LABEL)
SPANS = Task("times", ("first name", "time"), "Extract.", Metric.MICRO_F1, kind=EXTRACTION)
TEXT = Task("reply", (), "Answer.", Metric.CHRF, kind=GENERATION)
SPAN_REFERENCE = write_spans([Span(0, 3, "first name", "Tom"), Span(7, 11, "time", "6 pm")])
SHOWN = {
    MULTI_LABEL: Example("0", "x", '["card", "refund/charge"]'),
    EXTRACTION: Example("0", "Tom at 6 pm", SPAN_REFERENCE),
    GENERATION: Example("0", "hi", "Hello\nthere!"),
}
WRITTEN = {
    MULTI_LABEL: '["card", "refund/charge"]',
    EXTRACTION: '[{"type": "first name", "text": "Tom"}, {"type": "time", "text": "6 pm"}]',
    GENERATION: "Hello\nthere!",
}
TASKS = (LABELS, SPANS, TEXT)


@pytest.fixture(scope="module")
def chat(tiny_llama):
    return TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")


@pytest.fixture(scope="module")
def base(tiny_base):
    return TransformersEngine.load(ModelSource(str(tiny_base)), device="cpu")


def names(task):
    return task.kind.name


def test_system_turns(chat):
    assert Template(LABELS, chat).instruction == 'List.\nLabels: card, refund/charge, say "hi"'
    assert Template(SPANS, chat).instruction == "Extract.\nTypes: first name, time"
    assert Template(TEXT, chat).instruction == "Answer."


@pytest.mark.parametrize("task", TASKS, ids=names)
def test_a_demonstration_is_an_answer_and_reads_back(chat, task):
    template, example = Template(task, chat), SHOWN[task.kind]
    assert template.messages("?", [example])[2] == {"role": "assistant", "content": WRITTEN[task.kind]}
    assert template.prompt("?", [example]).startswith(
        template.prompt(example.text) + template.answer(example.reference) + template.end
    )
    assert template.parse(template.answer(example.reference) + template.end, example.text) == example.reference


def test_plain_prompts_of_a_base_model(base):
    assert (
        Template(LABELS, base)
        .prompt("a\nb", [SHOWN[MULTI_LABEL]])
        .endswith('Message: x\nLabels:\n["card", "refund/charge"]\n\nMessage: a b\nLabels:\n')
    )
    assert (
        Template(SPANS, base)
        .prompt("a", [SHOWN[EXTRACTION]])
        .endswith(f"Message: Tom at 6 pm\nSpans:\n{WRITTEN[EXTRACTION]}\n\nMessage: a\nSpans:\n")
    )
    assert Template(TEXT, base).prompt("a", [SHOWN[GENERATION]]) == (
        "<|bos|>Answer.\n\nInput: hi\nOutput: Hello there!\n\nInput: a\nOutput:"
    )
    assert Template(TEXT, base).parse(" Hello\n\nInput: more\nOutput: x", "a") == "Hello"


def test_a_line_ends_the_text_of_a_base_model_only(chat, base):
    assert Template(TEXT, base).stop == "\n"
    assert [Template(task, base).stop for task in (LABELS, SPANS)] == [None, None]
    assert [Template(task, chat).stop for task in TASKS] == [None, None, None]


@pytest.mark.parametrize("task", TASKS, ids=names)
def test_a_schema_admits_what_is_written(chat, task):
    schema = Template(task, chat).schema()
    if task.kind is GENERATION:
        assert schema is None
        return
    jsonschema.validate(json.loads(WRITTEN[task.kind]), schema)
    jsonschema.validate([], schema)
    for wrong in (["banana"], [{"type": "banana", "text": "x"}], {}, [{"type": "time"}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


@pytest.mark.parametrize(
    "said", ["", "none", "{}", '["banana"]', '[{"type": "time"}]', '[{"type": 1, "text": "a"}]', "[1"]
)
@pytest.mark.parametrize("task", [LABELS, SPANS], ids=names)
def test_what_is_no_answer_is_none(chat, task, said):
    assert Template(task, chat).parse(said, "text") is None


def test_only_a_classification_has_a_closed_set_of_answers(chat):
    with pytest.raises(ValueError, match="closed set"):
        Template(TEXT, chat).answers()


def test_white_space_around_a_span_is_ignored(chat):
    said = '[{"type": "time", "text": " 6 pm"}]'
    assert Template(SPANS, chat).parse(said, "at 6 pm") == write_spans([Span(3, 7, "time", "6 pm")])


def test_control_texts_in_spans_are_broken_and_found_again(chat, base):
    text = "Call  <|user|> Tom\nat 6 pm"
    reference = write_spans([Span(6, 18, "first name", "<|user|> Tom"), Span(22, 26, "time", "6 pm")])
    for engine in (chat, base):
        template = Template(SPANS, engine)
        answer = template.answer(reference)
        assert "<|user|>" not in answer
        assert template.parse(answer, text) == reference
        assert (
            "<|user|>"
            not in template.prompt("?", [Example("0", text, reference)]).split("Call", 1)[1].split("?")[0][: len(text)]
        )


@pytest.mark.parametrize("seed", range(20))
def test_spans_in_order_are_placed_where_they_were(seed):
    """Words that are all different: then the text alone says where a span is."""
    draw = random.Random(seed)
    words = [f"w{number}" for number in draw.sample(range(10, 99), 12)]
    text = " ".join(words)
    spans = []
    for first in range(0, 12, 4):
        piece = " ".join(words[first : first + draw.randint(1, 3)])
        spans.append(Span(text.index(piece), text.index(piece) + len(piece), draw.choice("ab"), piece))
    found, dropped = place([Named(span.type, span.text) for span in spans], text, text)
    assert (list(found), dropped) == (spans, 0)


@pytest.mark.parametrize(
    ("text", "named", "starts", "dropped"),
    [
        ("at 14:00 for 4", ["4"], [13], 0),  # a whole word before a part of one
        ("5 or 5", ["5", "5"], [0, 5], 0),  # each further on
        ("5 or 5", ["5", "5", "5"], [0, 5], 1),
        ("a then b", ["b", "a"], [7, 0], 0),  # out of order
        ("6pm", ["6", "pm"], [0, 1], 0),
        ("text", ["", " ", "more"], [], 3),
        ("New York City", ["New York", "York City"], [0, 4], 0),  # overlapping only where there is no other place
    ],
)
def test_places(text, named, starts, dropped):
    found, lost = place([Named("x", each) for each in named], text, text)
    assert [span.start for span in found] == starts
    assert lost == dropped
    assert all(text[span.start : span.end] == span.text for span in found)
    assert read_spans(write_spans(found)) == tuple(sorted(found))
