"""Batch labelling without a page: files that cannot be read, rows that fail, and cells that spreadsheets would run."""

import csv
import threading

import pytest

from llmtl.errors import DataError, ServingError
from llmtl.playground import batch
from llmtl.playground.batch import BatchOutcome, added_columns, harmless, label_texts, read_sheet, write_labelled
from llmtl.playground.batch_tab import preview_page
from llmtl.playground.http_client import Labelled, RefusedError


class Echo:
    """An endpoint whose label is the input's first word; it refuses `long` and fails after `answers` requests."""

    def __init__(self, answers=10**6):
        self.answers, self.asked, self._lock = answers, [], threading.Lock()

    def predict(self, texts, model):
        with self._lock:
            self.asked.append(list(texts))
            if len(self.asked) > self.answers:
                raise ServingError("No server answers.")
        if any("long" in text for text in texts):
            raise RefusedError("The message is too long.")
        return tuple(Labelled(text.split()[0], {text.split()[0]: 0.75}) for text in texts)


def outcomes(endpoint, texts, at_once=4):
    found = {}
    for more in label_texts(endpoint, texts, model="m", at_once=at_once):
        found |= more
    assert sorted(found) == list(range(len(texts)))
    return [found[index] for index in range(len(texts))]


def test_every_row_gets_its_own_label_in_order():
    texts = [f"label{n} x" for n in range(50)]
    endpoint = Echo()
    assert outcomes(endpoint, texts) == [BatchOutcome(f"label{n}", 0.75) for n in range(50)]
    assert max(map(len, endpoint.asked)) == 4


def test_requests_stay_small_whatever_the_server_allows():
    endpoint = Echo()
    outcomes(endpoint, ["a"] * 100, at_once=10_000)
    assert max(map(len, endpoint.asked)) == batch.MOST_AT_ONCE


def test_a_refused_row_does_not_take_its_neighbours_with_it():
    found = outcomes(Echo(), ["a x", "too long", "b x", " "])
    assert [(each.label, each.error) for each in found] == [
        ("a", ""),
        ("", "The message is too long."),
        ("b", ""),
        ("", "The cell is empty."),
    ]


def test_when_the_server_goes_away_the_rest_is_not_sent():
    endpoint = Echo(answers=3)
    found = outcomes(endpoint, ["a x"] * 400)
    assert len(endpoint.asked) <= 3 + batch.PARALLEL
    assert {each.error for each in found} == {
        "",
        "No server answers.",
        "Not sent: the server had stopped answering.",
    }


def test_closing_the_iterator_stops_the_asking():
    let = threading.Semaphore(1)

    class Held(Echo):
        def predict(self, texts, model):
            answer = super().predict(texts, model)
            let.acquire()
            return answer

    endpoint = Held()
    asking = label_texts(endpoint, ["a x"] * 1000, model="m", at_once=1)
    next(asking)
    next(asking)  # the one that was let
    asking.close()
    let.release(1000)
    for thread in threading.enumerate():
        if thread.name.startswith("playground-batch"):
            thread.join(timeout=60)
            assert not thread.is_alive()
    assert len(endpoint.asked) <= 1 + batch.PARALLEL  # what was under way, and no other


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+SUM(A1)", "'+SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("@cmd", "'@cmd"),
        ("\tx", "'\tx"),
        ("\r=1", "'\r=1"),
        ("-5", "-5"),
        ("+49", "+49"),
        ("-1.5e3", "-1.5e3"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_formulas_are_defused_and_numbers_left_alone(cell, written):
    assert harmless(cell) == written


def test_a_sheet_survives_reading_and_writing(tmp_path):
    source = tmp_path / "up.csv"
    rows = [["1", 'say "hi", now', "=HYPERLINK(1)"], ["2", "two\nlines", "ok"]]
    with source.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([["id", "text", "=note"], *rows])
    sheet = read_sheet(source, name="up.csv")
    assert sheet.likeliest == "text"
    assert [row.text for row in sheet.inputs("text").rows] == ['say "hi", now', "two\nlines"]
    write_labelled(tmp_path / "down.csv", sheet, [BatchOutcome("=x", 0.5), BatchOutcome(error="-why")])
    with (tmp_path / "down.csv").open(newline="", encoding="utf-8") as file:
        back = list(csv.reader(file))
    assert back == [
        ["id", "text", "'=note", "label", "probability", "error"],
        ["1", 'say "hi", now', "'=HYPERLINK(1)", "'=x", "0.500000", ""],
        ["2", "two\nlines", "ok", "", "", "'-why"],
    ]


def test_added_columns_give_way_to_those_of_the_file():
    assert added_columns(["text", "label", "predicted_label"]) == ["predicted_predicted_label", "probability", "error"]


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.pdf", b"PK", "'shown.csv' is not a table; save it as one of .csv, .tsv, .xlsx"),
        ("a.csv", b"text\n", "'shown.csv' has a header and no rows"),
        ("a.csv", b"", "'shown.csv' is empty"),
        ("a.csv", b"text\n\x81\xe9\n", "'shown.csv' is neither UTF-8"),
        ("a.csv", b'text\n"x\n', "'shown.csv' has broken quoting"),
    ],
)
def test_what_cannot_be_labelled_is_said_without_the_servers_paths(tmp_path, name, content, line):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_sheet(path, name="shown.csv")
    assert line in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_files_that_are_too_large_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "x\n" * 11)
    monkeypatch.setattr(batch, "MOST_ROWS", 10)
    with pytest.raises(DataError, match="has 11 rows and the playground labels at most 10"):
        read_sheet(path, name="a.csv")
    monkeypatch.setattr(batch, "MOST_BYTES", 5)
    with pytest.raises(DataError, match="is larger than"):
        read_sheet(path, name="a.csv")


def test_a_column_that_is_gone_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("text\nx\n")
    with pytest.raises(DataError, match="has no column 'other'"):
        read_sheet(tmp_path / "a.csv", name="a.csv").inputs("other")


@pytest.mark.parametrize(
    ("name", "content", "detected"),
    [
        (
            "semicolons.csv",
            "id;message\n1;Größe, bitte\n2;\n".encode("cp1252"),
            ("cp1252 (guessed, as in 'Größe')", "separated by ';'"),
        ),
        ("tabs.tsv", "id\tmessage\n1\tGröße, bitte\n2\t\n".encode("utf-16"), ("UTF-16 LE", "separated by tabs")),
        ("rows.jsonl", '{"id": 1, "message": "Größe, bitte"}\n{"id": 2}\n'.encode(), ("UTF-8",)),
        ("rows.json", '[{"id": 1, "message": "Größe, bitte"}, {"id": 2, "message": null}]'.encode(), ("UTF-8",)),
    ],
)
def test_files_are_read_as_predict_reads_them_and_bad_rows_named_in_place(tmp_path, name, content, detected):
    (tmp_path / name).write_bytes(content)
    sheet = read_sheet(tmp_path / name, name=name)
    assert [each.casefold() for each in sheet.table.detected] == [each.casefold() for each in detected]
    assert sheet.likeliest == "message"
    rows = sheet.inputs("message").rows
    assert [row.text for row in rows] == ["Größe, bitte", None]
    page = preview_page(sheet, "message")
    assert "1 row cannot be answered" in page
    assert f"There is no text in {rows[1].where}." in page
    assert page.index("Größe, bitte") < page.index("no text</span>")
    problems = {1: rows[1].problem}
    found = dict(
        label
        for part in label_texts(Echo(), ["Größe, bitte", ""], model="m", at_once=4, problems=problems)
        for label in part.items()
    )
    assert found[1] == BatchOutcome(error=rows[1].problem)
    write_labelled(tmp_path / "down.csv", sheet, [found[0], found[1]])
    with (tmp_path / "down.csv").open(newline="", encoding="utf-8") as file:
        back = list(csv.DictReader(file))
    assert [(row["id"], row["message"], row["label"], row["error"]) for row in back] == [
        ("1", "Größe, bitte", "Größe,", ""),
        ("2", "", "", rows[1].problem),
    ]


def test_a_spreadsheet_and_a_text_file_are_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["note", "message"])
    book.active.append([7, "where is my parcel"])
    book.save(tmp_path / "a.xlsx")
    sheet = read_sheet(tmp_path / "a.xlsx", name="a.xlsx")
    assert (sheet.likeliest, [row.text for row in sheet.inputs("message").rows]) == ("message", ["where is my parcel"])
    (tmp_path / "a.txt").write_text("one, two\n\nthree\n")
    sheet = read_sheet(tmp_path / "a.txt", name="a.txt")
    read = [("line 1", "one, two"), ("line 2", None), ("line 3", "three")]  # an empty line keeps its place
    assert [(row.where, row.text) for row in sheet.inputs("text").rows] == read


def test_the_preview_cuts_what_is_long_and_escapes_what_is_markup(tmp_path):
    rows = "".join(f"{n},<b>{'x' * 300}</b>,c,d,e\n" for n in range(9))
    (tmp_path / "a.csv").write_text("id,message,c,d,e\n" + rows)
    page = preview_page(read_sheet(tmp_path / "a.csv", name="a.csv"), "message")
    assert page.count('scope="row"') == 5
    assert "4 more follow" in page
    assert "1 further column will come back unchanged" in page
    assert "<b>" not in page
    assert "x" * 121 not in page


def test_a_column_without_any_text_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,message\n1,\n2,\n")
    with pytest.raises(DataError, match="holds no input"):
        preview_page(read_sheet(tmp_path / "a.csv", name="a.csv"), "message")
