import contextlib
import csv
import datetime
import io
import json
import sys
import zipfile

import datasets
import openpyxl
import pyarrow as pa
import pytest
from pyarrow import parquet

from llmtl.data import DataConfig, load_examples
from llmtl.data.file_formats import is_local, read_file
from llmtl.data.typed_files import read_excel
from llmtl.errors import DataError, MissingFileError, MissingPackageError

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
        ("a.csv", "text,label\na,b\nc,d,e\n", ["Line 3", "3 fields", "header has 2"]),
        ("a.csv", 'text,label\na,b\n"never closed,c\nd,e\n', ["starts in line 3", "broken quoting"]),
        ("a.csv", 'text,label\n"two\nlines",a\n"closed"too early,b\n', ["starts in line 4", "broken quoting"]),
        ("a.csv", "text,label\nfür alle müssen,a\n".encode() + b"caf\xe9,b\n", ["damaged UTF-8", "0xe9", "line 3"]),
        ("a.csv", "text,label\nплитки жили,a\n".encode("cp1251"), ["neither UTF-8", "line 2", "data.encoding=cp1251"]),
        ("a.csv", b"text,label\nab\x81c\xe9,a\n", ["neither UTF-8", "0x81"]),
        ("a.jsonl", "[" * 100_000, ["Line 1", "nested too deeply"]),
        ("a.jsonl", '{"text": "a"}\n\n{"text": "b"\n', ["Line 3", "not valid JSON"]),
        ("a.jsonl", '{"text": "a"}\n["b"]\n', ["Line 2", "holds a list"]),
        ("a.json", '[{"text": "a"},\n {"text" "b"}]', ["line 2", "not valid JSON"]),
        ("a.jsonl", '["a"]\n["b"]\n', ["Line 1", "holds a list"]),
        ("a.csv", "# exported\ntext,label\na,b\n", ["2 fields", "header has 1", "take away what stands above"]),
        ("a.csv", b"PK\x03\x04\x00", ["a ZIP archive, as Excel's .xlsx files are", "right suffix"]),
        ("a.csv", b"PAR1\x00", ["a Parquet file"]),
        ("a.jsonl", b"\x1f\x8b\x00", ["compressed with gzip"]),
        ("a.json", '{"text": "a"}', ["an object at its top", "list of objects"]),
        ("a.json", '[{"text": "a"}, 3]', ["Item 2", "a number"]),
        ("a.parquet", b"PAR1 this is none", ["not a readable Parquet file"]),
        ("a.xls", "text,label\n", [".xls", ".csv", ".xlsx"]),
        ("a.xlsx", "text,label\n", ["not a readable .xlsx file"]),
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
    (tmp_path / "a.csv").write_bytes(b"text,label\nab\x00c,x\n")
    with pytest.raises(DataError, match="NUL byte in line 2"):
        read_file(str(tmp_path / "a.csv"))


RECORDS = 'text;label\n"größer, als; gedacht";a\nübel, café ± 5 €;b\n'


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (RECORDS.encode(), "UTF-8"),
        (b"\xef\xbb\xbf" + RECORDS.encode(), "UTF-8"),
        (RECORDS.encode("cp1252"), "cp1252 (guessed, as in 'größer')"),
        (RECORDS.encode("utf-16"), "UTF-16 LE"),
        (b"\xfe\xff" + RECORDS.encode("utf-16-be"), "UTF-16 BE"),
        (RECORDS.encode("utf-16-le"), "UTF-16 LE"),
        (RECORDS.encode("utf-16-be"), "UTF-16 BE"),
        (RECORDS.encode("utf-32"), "UTF-32 LE"),
    ],
)
def test_every_encoding_that_people_have_is_found_and_told(write, content, encoding):
    table = read_file(write("tickets.csv", content))
    assert [dict(row.values) for row in table.rows] == [
        {"text": "größer, als; gedacht", "label": "a"},
        {"text": "übel, café ± 5 €", "label": "b"},
    ]
    assert table.told == f"Read tickets.csv: 2 rows, {encoding}, separated by ';'"


def test_an_encoding_of_another_script_is_named_by_the_user(write):
    path = write("a.csv", "text,label\nплитки жили,a\n".encode("cp1251"))
    assert [row.values["text"] for row in read_file(path, "cp1251").rows] == ["плитки жили"]
    with pytest.raises(DataError, match="The encoding 'klingon' is unknown"):
        read_file(path, "klingon")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_the_separator_is_found_whatever_the_texts_hold(write, separator, suffix):
    table = read_file(write(f"a.{suffix}", as_csv(separator)))
    assert [dict(row.values) for row in table.rows] == ROWS


def test_a_first_line_that_names_the_separator_is_not_a_header(write):
    table = read_file(write("a.csv", "sep=;\r\ntext;label\r\na, b;c\r\n"))
    assert [(row.where, dict(row.values)) for row in table.rows] == [("line 3", {"text": "a, b", "label": "c"})]


def test_quotes_behind_a_backslash_are_read(write):
    table = read_file(write("a.csv", 'text,label\n"he said \\"no\\", then left",a\n'))
    assert table.rows[0].values["text"] == 'he said "no", then left'


def test_a_field_may_be_as_long_as_it_is(write):
    [row] = read_file(write("a.csv", f'text,label\n"{"long " * 60_000}",a\n')).rows
    assert len(row.values["text"]) == 300_000


def test_a_number_may_have_as_many_digits_as_it_has(write):
    [row] = read_file(write("a.jsonl", f'{{"text": "a", "label": {"7" * 5_000}}}')).rows
    assert row.values["label"] == "7" * 5_000


@pytest.mark.parametrize(
    ("content", "columns", "rows"),
    [
        ("text,label,,\na,b,,\nc,d,,\n", ("text", "label"), [("a", "b"), ("c", "d")]),
        ("text,label,,\na,b\nc,d,\n", ("text", "label"), [("a", "b"), ("c", "d")]),
        ("text,label\na,b,,\n,,,\n,,,\n", ("text", "label"), [("a", "b")]),
        (",text,label\n0,a,b\n", ("column 1", "text", "label"), [("0", "a", "b")]),
        ("text,label,\na,b,\nc,d,see\n", ("text", "label", "column 3"), [("a", "b", ""), ("c", "d", "see")]),
        ("text,note,note\na,b,c\n", ("text", "note", "note (2)"), [("a", "b", "c")]),
    ],
)
def test_what_a_spreadsheet_leaves_behind_does_no_harm(write, content, columns, rows):
    table = read_file(write("a.csv", content))
    assert table.columns == columns
    assert [tuple(row.values.values()) for row in table.rows] == rows


def test_a_column_that_stands_twice_cannot_be_asked_for(write):
    table = read_file(write("a.csv", "text,note,note\na,b,c\n"))
    table.require("text")
    with pytest.raises(DataError, match="has column 'note' more than once; rename one of them"):
        table.require("note")


def test_excel_is_read_as_its_csv_would_be(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "empty"
    sheet = book.create_sheet("tickets")
    sheet.append(["text", "label", None])
    sheet.append(["two\nlines", 3.0])
    sheet.append(["naïve", "b"])
    sheet.append([None, None, " "])
    book.create_sheet("notes").append(["more"])
    book.save(tmp_path / "a.xlsx")
    table = read_file(str(tmp_path / "a.xlsx"))
    assert [tuple(row.values.values()) for row in table.rows] == [("two\nlines", "3"), ("naïve", "b")]
    assert table.told == "Read a.xlsx: 2 rows, Excel, sheet 'tickets', one of 2"


def test_excel_without_its_package_is_one_line_with_the_cure(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(MissingPackageError, match=r"needs openpyxl; install it with: pip install 'llmtl\[excel\]'"):
        read_file(write("a.xlsx", b"PK"))


def test_parquet_keeps_the_names_of_classes_wherever_they_stand(tmp_path):
    names = datasets.ClassLabel(names=["billing", "shipping"])
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": names,
            "tags": datasets.List(names),
            "spans": datasets.List({"type": names}),
        }
    )
    rows = {"text": ["a", "b"], "label": [1, -1], "tags": [[0, 1], []], "spans": [[{"type": 0}], []]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    first, second = (row.values for row in read_file(str(tmp_path / "a.parquet")).rows)
    assert first == {"text": "a", "label": "shipping", "tags": ["billing", "shipping"], "spans": [{"type": "billing"}]}
    assert second["label"] is None


def test_a_spreadsheet_that_unpacks_to_gigabytes_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
        packed.open("xl/worksheets/sheet1.xml", "w") as part,
    ):
        for _ in range(1100):
            part.write(bytes(2**20))
    assert path.stat().st_size < 2**21
    with pytest.raises(DataError, match=r"unpacks to 1\.1 GiB; save what you need of it as \.csv"):
        read_excel(path, "bomb.xlsx")


def test_entities_of_a_spreadsheet_read_no_file_and_do_not_multiply(tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("not for others")
    for entities in (f'<!ENTITY a SYSTEM "{secret.as_uri()}">', '<!ENTITY b "xxxxxxxxxx"><!ENTITY a "&b;&b;&b;&b;">'):
        path = tmp_path / "odd.xlsx"
        book = openpyxl.Workbook()
        book.active.append(["text", "label"])
        book.active.append(["here", "x"])
        book.save(path)
        with zipfile.ZipFile(path) as packed:
            parts = {name: packed.read(name) for name in packed.namelist()}
        odd = parts["xl/worksheets/sheet1.xml"].decode().replace("<v>0</v>", "<v>&a;</v>", 1).split("?>", 1)[-1]
        parts["xl/worksheets/sheet1.xml"] = f"<!DOCTYPE x [{entities}]>{odd}".encode()
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in parts.items():
                packed.writestr(name, content)
        found = None
        with contextlib.suppress(DataError):
            found = read_excel(path, "odd.xlsx")
        assert "not for others" not in repr(found)


@pytest.mark.parametrize("encoding", ["mac_roman", "cp437", "cp850"])
@pytest.mark.parametrize("text", ["le café est réservé", "die Größe fällt aus; bitte prüfen", "hyvää päivää"])
def test_other_one_byte_encodings_are_not_taken_for_cp1252(write, encoding, text):
    content = f"text,label\n{text},a\n"
    with pytest.raises(DataError, match=r"neither UTF-8 .* nor cp1252; save it as UTF-8, or name its encoding"):
        read_file(write("a.csv", content.encode(encoding)))
    for each in ("cp1252", encoding):
        named = None if each == "cp1252" else each
        assert read_file(write("a.csv", content.encode(each)), named).rows[0].values["text"] == text


@pytest.mark.parametrize(
    "text",
    ["la col·lecció", "it\u2019s \u201cfine\u201d \u2013 5 €", "l\u2019œuvre", "RÉSUMÉ", "5 m² à 20 °C", "½ Liter Öl"],
)
def test_what_people_write_in_cp1252_is_read(write, text):
    assert read_file(write("a.csv", f"text\n{text}\n".encode("cp1252"))).rows[0].values["text"] == text


def test_spaces_before_quotes_are_no_part_of_the_fields(write):
    table = read_file(write("a.csv", 'text, label\n"one, two", "a"\n"three", "b"\n'))
    assert [dict(row.values) for row in table.rows] == [
        {"text": "one, two", "label": "a"},
        {"text": "three", "label": "b"},
    ]
    table = read_file(write("b.csv", 'text,label\nhe said, "no" twice\n'))
    assert dict(table.rows[0].values) == {"text": "he said", "label": ' "no" twice'}


def test_a_list_of_objects_and_objects_in_lines_are_told_apart_by_what_they_hold(write):
    rows = [{"text": "a"}, {"text": "b"}]
    for name, content in (
        ("a.jsonl", '[{"text": "a"},\n {"text": "b"}]'),
        ("b.jsonl", '[{"text": "a"}, {"text": "b"}]\n'),
        ("c.json", '{"text": "a"}\n{"text": "b"}\n'),
    ):
        assert [dict(row.values) for row in read_file(write(name, content)).rows] == rows


def test_the_mark_at_which_dos_ended_a_file_is_no_record(write):
    assert len(read_file(write("a.csv", "text,label\na,b\n\x1a")).rows) == 1


def spreadsheet(tmp_path, *sheets):
    """Write sheets of rows, each with its state, and read the file."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, (state, rows) in enumerate(sheets):
        sheet = book.create_sheet(f"s{number}")
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "a.xlsx")
    return read_file(str(tmp_path / "a.xlsx"))


TICKETS = [["text", "label"], ["two", "a"], ["three", "b"]]


def test_titles_cover_sheets_and_hidden_sheets_are_no_table(tmp_path):
    hidden, cover = ("hidden", [["k", "v"], ["a", "b"]]), ("visible", [["Read me"], ["All tickets of 2024"]])
    table = spreadsheet(tmp_path, hidden, cover, ("visible", [["Tickets, as of today"], [], *TICKETS]))
    assert table.columns == ("text", "label")
    assert table.rows[0].where == "row 4"
    assert table.told == "Read a.xlsx: 2 rows, Excel, sheet 's2', one of 3"
    assert spreadsheet(tmp_path, ("visible", [["text"], ["one"], ["two"]])).columns == ("text",)


def test_dates_and_failed_formulas_are_read_as_people_see_them(tmp_path):
    rows = [["text", "label"], ["a", datetime.datetime(2024, 5, 1)], ["b", "#N/A"], ["c", datetime.time(6, 30)]]
    assert [row.values["label"] for row in spreadsheet(tmp_path, ("visible", rows)).rows] == [
        "2024-05-01",
        "",
        "06:30:00",
    ]


def test_empty_cells_of_a_spreadsheet_are_explained(tmp_path):
    rows = [["text", "label"], *(["some text", None] for _ in range(9)), ["other", "=UPPER(A1)"]]
    spreadsheet(tmp_path, ("visible", rows))
    with pytest.raises(DataError, match="All but the first of merged cells are empty, and so are formulas until Excel"):
        load_examples(DataConfig(path=str(tmp_path / "a.xlsx")))
