"""Inputs to predict."""

import json

import pandas
import pytest

from llmtl.data import read_inputs
from llmtl.data.inputs import read_stdin, require_writable, write_answers
from llmtl.errors import DataError, InputError, MissingFileError


def texts(*given, **settings):
    return [row.text for row in read_inputs(*given, **settings).rows]


def test_lines_and_cells_in_order(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo, and more\n")
    (tmp_path / "a.csv").write_text('id,message\n1,one\n2,"two, and more"\n')
    assert texts(tmp_path / "a.txt", "unused") == ["one", None, "two, and more"]
    assert texts(tmp_path / "a.csv", "message") == ["one", "two, and more"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_empty_line_keeps_its_place(tmp_path, end):
    lines = ["one", "", "two", " \t", "three"]
    found = [("line 1", "one"), ("line 2", None), ("line 3", "two"), ("line 4", None), ("line 5", "three")]
    for last in ("", end):  # what ends the last line begins no other one
        content = (end.join(lines) + last).encode()
        (tmp_path / "a.txt").write_bytes(content)
        for table in (read_inputs(tmp_path / "a.txt", "unused"), read_stdin(content, "unused")):
            assert [(row.where, row.text) for row in table.rows] == found
            assert table.rows[1].problem == "There is no text in line 2."
    assert [row.text for row in read_stdin(f"one{end}{end}{end}".encode(), "x").rows] == ["one", None, None]


def test_an_empty_line_of_a_file_with_one_column_keeps_its_place_and_is_no_row_of_several(tmp_path):
    (tmp_path / "a.csv").write_text('\nmessage\none\n\n"two"\n\n\n')
    assert [(row.where, row.text) for row in read_inputs(tmp_path / "a.csv", "message").rows] == [
        ("line 3", "one"),
        ("line 4", None),
        ("line 5", "two"),
    ]
    (tmp_path / "a.csv").write_text("id,message\n1,one\n\n2,two\n")
    assert texts(tmp_path / "a.csv", "message") == ["one", "two"]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n \r\n"])
def test_nothing_but_empty_lines_is_refused(content):
    with pytest.raises(DataError, match="'stdin' holds no input; give one per line"):
        read_stdin(content, "m")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
def test_lines_are_the_same_in_every_encoding(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("café\r\ncafé\r\n".encode(encoding))
    assert texts(tmp_path / "a.txt", "unused") == ["café", "café"]


def test_what_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "a.csv").write_text("id,message\n1,one\n2,\n")
    (tmp_path / "b.txt").write_bytes("плитки жили\n".encode("cp1251"))
    with pytest.raises(DataError, match="no column 'text'"):
        read_inputs(tmp_path / "a.csv", "text")
    with pytest.raises(DataError, match="UTF-8"):
        read_inputs(tmp_path / "b.txt", "x")
    with pytest.raises(MissingFileError):
        read_inputs(tmp_path / "c.txt", "x")


def test_a_row_without_text_keeps_its_place_and_says_why(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"message": "one"}\n{"message": " "}\n{"message": 3}\n{"other": 1}\n')
    rows = read_inputs(tmp_path / "a.jsonl", "message").rows
    assert [row.text for row in rows] == ["one", None, None, None]
    assert [row.problem for row in rows[:2]] == ["", "There is no text in line 2."]
    assert "holds 3 in line 3, which is not text" in rows[2].problem


@pytest.mark.parametrize("content", ["one\r\ntwo\n", '\n{"m": "one"}\n{"m": "two"}\n', "\ufeffone\ntwo"])
def test_stdin_holds_lines_or_json_lines(content):
    table = read_stdin(content.encode(), "m")
    assert [row.text for row in table.rows] == ["one", "two"]
    with pytest.raises(DataError, match="'stdin' has no column 'x'"):
        read_stdin(b'{"m": "one"}', "x")


def test_answers_are_written_in_the_form_of_the_suffix(tmp_path):
    rows = [{"n": 1, "labels": ["a", "b"], "error": None}, {"n": 2, "labels": None, "error": "no text, sorry"}]
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        require_writable(tmp_path / name)
        write_answers(tmp_path / name, ["n", "labels", "error"], rows)
    assert (tmp_path / "a.csv").read_text() == 'n,labels,error\n1,"[""a"", ""b""]",\n2,,"no text, sorry"\n'
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == rows
    assert list(pandas.read_parquet(tmp_path / "a.parquet")["labels"][0]) == ["a", "b"]
    with pytest.raises(InputError, match=r"ends in '.xls'; choose one of .csv, .jsonl, .parquet"):
        require_writable(tmp_path / "a.xls")
