"""Corrections in the playground without a browser: what a person gives for every kind of task, and what is kept."""

import json

import pytest

from llmtl.answers import Span, write_spans
from llmtl.errors import InputError
from llmtl.kinds.table import kind_named
from llmtl.playground.correction_panel import build_corrections
from llmtl.playground.http_client import ServedTask
from llmtl.playground.page_content import PlaygroundContent
from llmtl.playground.right_answers import LONGEST, WasAsked, can_be_corrected, keep, right_answer, to_edit

TEXT = "From Bonn to Bonn at 6 pm"
SPANS = write_spans([Span(5, 9, "city", "Bonn"), Span(13, 17, "city", "Bonn")])
LABELS = ("city", "time: exact")


def content(kind, file, labels=LABELS):
    task = ServedTask(task="t", model="t", strategy="qlora", labels=labels, kind=kind_named(kind))
    return PlaygroundContent("http://h/v1", task, corrections=file)


@pytest.mark.parametrize(
    ("kind", "answer", "shown"),
    [
        ("classification", "city", None),
        ("multi-label", '["city"]', ["city"]),
        ("multi-label", "", []),
        ("extraction", SPANS, "city: Bonn\ncity: Bonn"),
        ("extraction", "", ""),
        ("generation", "At six.", "At six."),
    ],
)
def test_an_answer_is_proposed_as_a_person_changes_it(kind, answer, shown):
    assert to_edit(kind_named(kind), answer) == shown


@pytest.mark.parametrize(
    ("kind", "given", "right"),
    [
        ("classification", "city", "city"),
        ("multi-label", ["time: exact", "city"], '["city", "time: exact"]'),
        ("multi-label", [], "[]"),
        ("extraction", "city: Bonn\ncity: Bonn", SPANS),
        ("extraction", " time: exact: 6 pm \n\n", write_spans([Span(21, 25, "time: exact", "6 pm")])),
        ("extraction", "", "[]"),
        ("generation", " At six.\n", " At six.\n"),
    ],
)
def test_what_a_person_gives_becomes_the_canonical_answer(kind, given, right):
    assert right_answer(kind_named(kind), given, text=TEXT, labels=LABELS) == right


@pytest.mark.parametrize(
    ("kind", "given", "line"),
    [
        ("classification", None, "Choose the right label first."),
        ("classification", "other", "Choose the right label first."),
        ("classification", ["city"], "Choose the right label first."),
        ("multi-label", ["other"], "Choose among the labels"),
        ("extraction", "town: Bonn", "does not begin with a type; write one of city, time: exact"),
        ("extraction", "city: Köln", "'Köln' does not stand in the message"),
        ("extraction", "city:", "does not stand in the message"),
        ("extraction", "city: Bonn\n" * 3, "does not stand in the message"),
        ("generation", " \n", "Write the right answer first."),
        ("generation", "x" * (LONGEST + 1), "is longer than"),
    ],
)
def test_what_is_no_answer_is_refused_in_a_line(kind, given, line):
    with pytest.raises(InputError, match=line):
        right_answer(kind_named(kind), given, text=TEXT, labels=LABELS)


def test_a_correction_is_kept_with_what_was_answered_and_by_whom(tmp_path):
    file = tmp_path / "corrections.jsonl"
    kept = keep(content("extraction", file), WasAsked(TEXT, "[]"), "time: exact: 6 pm")
    assert kept == (write_spans([Span(21, 25, "time: exact", "6 pm")]), False)
    row = json.loads(file.read_text(encoding="utf-8"))
    assert row.pop("at").startswith("20")
    assert row == {
        "input": TEXT,
        "answer": [],
        "correct": [{"type": "time: exact", "text": "6 pm", "start": 21, "end": 25}],
        "strategy": "qlora",
        "variant": "t",
    }


def test_the_answer_that_was_given_is_no_correction(tmp_path):
    with pytest.raises(InputError, match="nothing to correct"):
        keep(content("classification", tmp_path / "c.jsonl"), WasAsked(TEXT, "city"), "city")
    assert not (tmp_path / "c.jsonl").exists()


def test_without_a_run_and_for_rankings_nothing_is_offered(tmp_path):
    assert build_corrections(content("classification", None)) is None
    assert build_corrections(content("retrieval", tmp_path / "c.jsonl", labels=())) is None
    assert not can_be_corrected(kind_named("retrieval"))
    with pytest.raises(InputError, match="serve the run folder"):
        keep(content("classification", None), WasAsked(TEXT, "city"), "time: exact")
