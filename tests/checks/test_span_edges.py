"""Spans that stand where nobody would mark them, each counted in a way that people count in."""

import pytest

from llmtl.answers import Span, write_spans
from llmtl.checks import check_spans
from llmtl.kinds.extraction import EXTRACTION
from llmtl.task import Example, Metric, Split, Task

TASK = Task("t", ("city",), metric=Metric.MICRO_F1, kind=EXTRACTION)
TEXTS = [f"\U0001f600 \u00fcber Porto fliegt {name} nach Bonn" for name in ("Ada", "Bob", "Cleo")]


def told(count):
    """Return the findings about the word Porto, its place given by `count` from its place in characters."""
    examples = []
    for number, text in enumerate(TEXTS):
        start, end = count(text, text.index("Porto"))
        examples.append(Example(str(number), text, write_spans([Span(start, end, "city", text[start:end])])))
    return check_spans(Split(tuple(examples), (), ()), TASK)


@pytest.mark.parametrize(
    ("count", "cure"),
    [
        (lambda text, at: (at + 1, at + 6), "UTF-16 units"),
        (lambda text, at: (len(text[:at].encode()), len(text[: at + 5].encode())), "UTF-8 bytes"),
        (lambda text, at: (at, at + 4), "end at the last character"),
        (lambda text, at: (at - 1, at + 6), "correct their start and end"),
    ],
)
def test_another_way_of_counting_is_named(count, cure):
    (finding,) = told(count)
    assert "3 of 3 spans start or end in white space or inside a word" in finding.message
    assert cure in finding.message


def test_right_spans_and_scripts_without_spaces_are_left_alone():
    assert told(lambda text, at: (at, at + 5)) == []
    text = "\u6211\u5728\u4e0a\u6d77\u4f4f"
    example = Example("1", text, write_spans([Span(2, 4, "city", text[2:4])]))
    assert check_spans(Split((example,), (), ()), TASK) == []


def test_one_span_with_a_space_at_its_end_is_told():
    text = "to Porto on 10kg"
    right = [Example(str(n), text, write_spans([Span(12, 14, "city", "10")])) for n in range(60)]
    wrong = Example("w", text, write_spans([Span(3, 9, "city", "Porto ")]))
    (finding,) = check_spans(Split((*right, wrong), (), ()), TASK)
    assert "1 of 61 spans" in finding.message
    assert finding.ids == ("w",)


def test_spans_that_overlap_are_told():
    text = "from Porto on 5 May"
    spans = [Span(5, 10, "city", "Porto"), Span(5, 19, "city", "Porto on 5 May")]
    (finding,) = check_spans(Split((Example("1", text, write_spans(spans)),), (), ()), TASK)
    assert "1 span overlaps another (first: 'Porto' and 'Porto on 5 May' in example '1')" in finding.message
