import csv
import io
import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from llmtl.data.file_formats import is_local, read_file
from llmtl.errors import DataError, MissingFileError

ROWS = [
    {"text": 'He said "no", then left', "label": "a"},
    {"text": "two\nlines", "label": "b"},
    {"text": "naïve café \u2028 \U0001f600", "label": "c"},
]


def as_csv(delimiter: str) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["text", "label"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv", as_csv(",")),
        ("data.CSV", "\ufeff" + as_csv(",")),
        ("data.tsv", as_csv("\t")),
        ("data.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)),
        ("data.ndjson", "\n\n".join(json.dumps(row) for row in ROWS) + "\n"),
        ("data.json", json.dumps(ROWS, indent=1)),
    ],
)
def test_every_text_format_yields_the_same_rows(write, name, content):
    table = read_file(write(name, content))
    assert table.columns == ("text", "label")
    assert [dict(row.values) for row in table.rows] == ROWS


def test_parquet_keeps_types(tmp_path):
    path = tmp_path / "data.parquet"
    columns = {"text": ["a", "b", None], "label": [1, 2, None], "yes": [True, False, True]}
    parquet.write_table(pa.table(columns), path)
    table = read_file(str(path))
    assert table.columns == ("text", "label", "yes")
    assert [tuple(row.values.values()) for row in table.rows] == [("a", 1, True), ("b", 2, False), (None, None, True)]
    assert [row.where for row in table.rows] == ["row 1", "row 2", "row 3"]


def test_csv_rows_know_the_line_they_start_in(write):
    table = read_file(write("data.csv", 'text,label\r\n"two\r\nlines",a\r\n\r\nnext,b\r\n'))
    assert [row.where for row in table.rows] == ["line 2", "line 5"]


def test_json_lines_rows_know_their_line_and_columns_are_those_of_all_rows(write):
    table = read_file(write("data.jsonl", '{"text": "a"}\n\n{"text": "b", "label": 1}\n'))
    assert [row.where for row in table.rows] == ["line 1", "line 3"]
    assert table.columns == ("text", "label")


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("a.csv", "", ["is empty"]),
        ("a.csv", "\n\n", ["is empty"]),
        ("a.csv", "text,text\na,b\n", ["column 'text' more than once"]),
        ("a.csv", "text,label\na,b\nc,d,e\n", ["Line 3", "3 fields", "header has 2"]),
        ("a.csv", 'text,label\na,b\n"never closed,c\nd,e\n', ["starts in line 3", "broken quoting"]),
        ("a.csv", 'text,label\n"two\nlines",a\n"closed"too early,b\n', ["starts in line 4", "broken quoting"]),
        ("a.csv", b"text,label\nfine,a\ncaf\xe9,b\n", ["0xe9", "line 3", "byte offset 21", "iconv -f WINDOWS-1252"]),
        ("a.jsonl", b'{"text": "\xff"}\n', ["0xff", "line 1", "byte offset 10"]),
        ("a.csv", "text,label\na,b\n".encode("utf-16"), ["UTF-16", "iconv -f UTF-16"]),
        ("a.jsonl", '{"text": "a"}\n\n{"text": "b"\n', ["Line 3", "not valid JSON"]),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', ["Line 2", "holds a list"]),
        ("a.json", '[{"text": "a"},\n {"text" "b"}]', ["line 2", "not valid JSON"]),
        ("a.json", '{"text": "a"}\n{"text": "b"}', ["not valid JSON", ".jsonl"]),
        ("a.json", '{"text": "a"}', ["an object at its top", "list of objects"]),
        ("a.json", '[{"text": "a"}, 3]', ["Item 2", "a number"]),
        ("a.parquet", b"PAR1 this is none", ["not a readable Parquet file"]),
        ("a.xlsx", "text,label\n", [".xlsx", ".csv"]),
        ("nosuffix", "text,label\n", [".csv"]),
    ],
)
def test_unreadable_files_say_where_and_how_to_mend_them(write, name, content, parts):
    path = write(name, content)
    with pytest.raises(DataError) as caught:
        read_file(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in parts), message
    assert caught.value.exit_code == 2


def test_a_missing_file_names_the_nearest_one(write, tmp_path):
    write("tickets.csv", "text,label\na,b\n")
    with pytest.raises(MissingFileError, match=r"did you mean 'tickets\.csv'\?") as caught:
        read_file(str(tmp_path / "tikets.csv"))
    assert caught.value.exit_code == 2
    with pytest.raises(MissingFileError, match="there is no folder"):
        read_file(str(tmp_path / "nowhere" / "tickets.csv"))


def test_a_folder_names_the_files_in_it(write, tmp_path):
    write("tickets.csv", "text,label\na,b\n")
    with pytest.raises(DataError, match=r"is a folder; name one file, such as 'tickets\.csv'"):
        read_file(str(tmp_path))


def test_paths_are_told_from_hub_names(tmp_path):
    assert is_local(str(tmp_path))
    assert is_local("data.csv")
    assert is_local("a/b/c")
    assert is_local("./data")
    assert is_local("report.xlsx")
    assert not is_local("imdb")
    assert not is_local("acme/tickets.v2:test")


def test_nul_bytes_are_no_text(tmp_path):
    for name, content in (("a.csv", b"text,label\nab\x00c,x\n"), ("b.csv", "text,label\nä,x\n".encode("utf-16-le"))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="NUL byte in line"):
            read_file(str(tmp_path / name))
