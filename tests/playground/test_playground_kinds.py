"""What the playground shows of answers that are no single label, without a browser."""

import csv
import json
import re
import subprocess
import sys

import pytest

from llmtl.answers import Span, write_spans
from llmtl.errors import ServingError
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.table import kind_named
from llmtl.playground.batch import BatchOutcome, added_columns, read_sheet, write_labelled
from llmtl.playground.batch_tab import _summary
from llmtl.playground.errors_tab import errors_page
from llmtl.playground.http_client import Endpoint, Labelled, ServedAnswer, ServedTask
from llmtl.playground.page_content import PlaygroundContent, TestRow
from llmtl.playground.shown_answers import Piece, marked, shown
from llmtl.playground.try_tab import asking
from tests.support.canned_server import canned
from tests.support.kind_runs import make_kind_run

TEXT = "two <of> us at 6 pm"
SPANS = write_spans([Span(0, 11, "people", "two <of> us"), Span(15, 19, "time", "6 pm")])
ANSWERS = {
    "extraction": SPANS,
    "multi-label": '["late", "a<b"]',
    "generation": "See <you>.",
    "retrieval": '["12", "7"]',
}
ROWS = {
    "extraction": {
        "spans": [
            {"type": "people", "text": "two <of> us", "start": 0, "end": 11},
            {"type": "time", "text": "6 pm", "start": 15, "end": 19},
        ],
        "dropped": 0,
    },
    "multi-label": {"labels": ["late", "a<b"]},
    "generation": {"text": "See <you>."},
    "retrieval": {"ranking": ["12", "7"]},
}


class Known:
    """An endpoint that knows one answer."""

    def __init__(self, answer, error=""):
        self._answer = ServedAnswer(answer, {}, 12.0, "prompt", error)

    def answer(self, text, model):
        return self._answer


def task(kind):
    return ServedTask(task="t", model="t", strategy="few-shot", labels=("late", "a<b"), kind=kind_named(kind))


def last_page(kind, endpoint):
    return list(asking(PlaygroundContent("http://h/v1", task(kind)), endpoint)(TEXT, "nothing"))[-1].page


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_every_kind_become_canonical_answers(kind):
    body = {"data": [{"index": 0, **ROWS[kind]}], "choices": [{"message": {"content": "as written"}}]}
    with canned(200, body) as url:
        endpoint = Endpoint(url)
        try:
            assert endpoint.predict([TEXT], "t") == (Labelled(ANSWERS[kind], {}),)
            assert endpoint.answer(TEXT, "t").label == ANSWERS[kind]
        finally:
            endpoint.close()


def test_a_row_without_an_answer_says_why_and_without_a_reason_is_none_of_ours():
    for row, error in (({"labels": None, "error": "It was cut off."}, "It was cut off."), ({"index": 0}, None)):
        with canned(200, {"data": [row]}) as url:
            endpoint = Endpoint(url)
            try:
                if error is None:
                    with pytest.raises(ServingError, match="is not a task served by llmtl"):
                        endpoint.predict(["x"], "t")
                else:
                    assert endpoint.predict(["x"], "t") == (Labelled("", {}, error),)
            finally:
                endpoint.close()


def test_spans_are_marked_in_the_message():
    page = last_page("extraction", Known(SPANS))
    assert re.findall(r'<mark class="lt-span">([^<]*)<small>([^<]*)<', page) == [
        ("two &lt;of&gt; us", "people"),
        ("6 pm", "time"),
    ]
    assert "</mark> at <mark" in page


def test_label_sets_are_chips_and_texts_are_texts():
    assert re.findall(r'lt-chip">([^<]*)<', last_page("multi-label", Known(ANSWERS["multi-label"]))) == [
        "late",
        "a&lt;b",
    ]
    assert "none" in last_page("multi-label", Known("[]"))
    assert "See &lt;you&gt;." in last_page("generation", Known(ANSWERS["generation"]))


def test_an_unreadable_answer_is_said():
    page = last_page("extraction", Known("", "The answer was cut off."))
    assert "The answer was cut off." in page
    assert "<mark" not in page


def test_overlapping_spans_share_their_pieces():
    spans = [Span(0, 5, "a", "01234"), Span(3, 8, "b", "34567")]
    assert marked("0123456789", spans) == (
        Piece("012", ("a",)),
        Piece("34", ("a", "b")),
        Piece("567", ("b",)),
        Piece("89"),
    )


def test_nothing_found_leaves_the_message_as_it_is():
    assert shown(EXTRACTION, "[]", "all of it").pieces == (Piece("all of it"),)


@pytest.mark.parametrize("kind", ["extraction", "multi-label", "generation"])
def test_errors_are_listed_without_what_only_labels_have(kind):
    rows = [TestRow("1", TEXT, "[]", ANSWERS[kind], None), TestRow("2", "cut", "[]", None, None)]
    page = errors_page(rows, kind=kind_named(kind))
    assert "2 of 2 test predictions are wrong." in page
    assert "Sure" not in page
    assert "(failed)" in page


CORPUS = {"12": "Parcels <are> tracked here.", "7": "Refunds take a week.", "3": "Opening hours"}


def test_a_search_shows_the_texts_that_it_found_and_not_their_numbers():
    found = shown(kind_named("retrieval"), '["12", "7", "99"]', corpus=CORPUS, most=2)
    assert found.hits == (("12", "Parcels <are> tracked here."), ("7", "Refunds take a week."))
    assert found.more == 1
    assert shown(kind_named("retrieval"), '["99"]').hits == (("99", "99"),)
    assert shown(kind_named("retrieval"), "(failed)").text == "(failed)"
    rows = [
        TestRow("1", "where is it", '["3", "7"]', '["12", "7"]', None, ranked=True),
        TestRow("2", "when", '["3", "7"]', '["7", "12"]', None, ranked=True),
        TestRow("3", "cut", '["3"]', None, None, ranked=True),
    ]
    assert [row.right for row in rows] == [False, True, False]
    page = errors_page(rows, kind=kind_named("retrieval"), corpus=CORPUS)
    assert "For 2 of the 3 queries of test the first text is not relevant" in page
    assert "Parcels &lt;are&gt; tracked here. <small>12</small>" in page
    assert "(failed)" in page


def test_an_alternative_is_no_error():
    assert TestRow("1", "x", "a", "b", None, alternatives=("b",)).right
    assert not TestRow("1", "x", "a", "c", None, alternatives=("b",)).right


@pytest.mark.parametrize(
    ("kind", "added"),
    [
        ("extraction", ["spans", "error"]),
        ("multi-label", ["labels", "error"]),
        ("generation", ["predicted_text", "error"]),
    ],
)
def test_a_file_gets_the_answers_as_json_or_text(tmp_path, kind, added):
    source = tmp_path / "up.csv"
    source.write_text("text\nx\ny\n")
    sheet = read_sheet(source, name="up.csv")
    assert added_columns(sheet.columns, kind=kind_named(kind)) == added
    write_labelled(
        tmp_path / "down.csv", sheet, [BatchOutcome(ANSWERS[kind]), BatchOutcome(error="why")], kind=kind_named(kind)
    )
    with (tmp_path / "down.csv").open(newline="", encoding="utf-8") as file:
        header, first, second = csv.reader(file)
    assert header == ["text", *added]
    assert first == ["x", ANSWERS[kind], ""]
    assert second == ["y", "", "why"]
    if kind != "generation":
        json.loads(first[1])


def test_labels_and_types_of_a_file_are_counted():
    assert kind_named("extraction").counted(SPANS) == ("people", "time")
    page = _summary(
        [BatchOutcome(ANSWERS["multi-label"]), BatchOutcome(error="why")], kind_named("multi-label"), seconds=1.0
    )
    assert "1 of 2 rows labelled" in page
    assert page.count('scope="row"') == 2


def test_the_whole_page_is_built_over_a_run(tmp_path):
    run = make_kind_run(tmp_path, "extraction", strategies=("majority", "dictionary"))
    told = {"task": run.task.name, "model": "t", "strategy": "majority", "labels": [], "kind": "extraction"}
    with canned(200, told) as url:
        # in a process of its own: Gradio leaves event loops behind
        code = (
            "import sys, llmtl\n"
            "from llmtl.pipeline.playground import playground_content\n"
            "from llmtl.playground.app import build\n"
            "content = playground_content(sys.argv[1], run=llmtl.load_run(sys.argv[2]))\n"
            "assert any(not row.right for row in content.rows)\n"
            "build(content)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, url, str(run.folder)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
