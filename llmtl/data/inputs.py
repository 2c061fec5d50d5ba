"""Unlabelled inputs to predict, from a file or from what a program writes to stdin, and writing them with the answers.

A row without a text keeps its place and says what is wrong with it. Not covered: labelled examples
(`llmtl.data.examples`).
"""

import csv
import io
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.data.cells import text_of
from llmtl.data.encodings import decode
from llmtl.data.file_formats import read_file, read_text
from llmtl.data.table import Row, Table
from llmtl.errors import DataError, InputError, MissingFileError
from llmtl.store import write_text

_LINE_END = re.compile(r"\r\n|\r|\n")
"""Not splitlines(), which also breaks at characters such as U+2028 that stand inside texts."""
OUT_SUFFIXES = (".csv", ".jsonl", ".parquet")
STDIN = "stdin"
TEXT = "text"
"""The column of inputs that come one per line."""


@dataclass(frozen=True)
class InputRow:
    """One input where it stands, with the other cells of its row; `text` is None where `problem` says why."""

    where: str
    values: Mapping[str, object]
    text: str | None
    problem: str = ""


@dataclass(frozen=True)
class InputTable:
    """All rows of one source of inputs, in order; `told` says how it was read."""

    columns: tuple[str, ...]
    rows: tuple[InputRow, ...]
    told: str


def read_inputs(path: Path | str, column: str, encoding: str | None = None) -> InputTable:
    """Read the texts in a column of a table file, or the lines of a `.txt` file.

    Raises `MissingFileError`, and `DataError` for a missing column and a file without inputs.
    """
    table = read_table(path, encoding)
    return in_column(table, TEXT if _is_text(path) else column)


def read_table(path: Path | str, encoding: str | None = None) -> Table:
    """Read all columns of a table file; of a `.txt` file its lines, in a column `text`.

    Raises `MissingFileError`, and `DataError` for what cannot be read.
    """
    path = Path(path)
    if not _is_text(path):
        return read_file(str(path), encoding)
    if not path.is_file():
        raise MissingFileError(f"There is no file '{path}'; check the path.")
    read = read_text(path, str(path), encoding)
    return _lines(read.text, read.encoding, str(path))


def in_column(table: Table, column: str) -> InputTable:
    """Take the texts in a column of a table; raises `DataError` where there is no such column, or no text in it."""
    table.require(column)
    return _checked(table, column)


def _is_text(path: Path | str) -> bool:
    return Path(path).suffix.lower() == ".txt"


def read_stdin(content: bytes, column: str, encoding: str | None = None) -> InputTable:
    """Read inputs as a program writes them: JSON Lines where the first line is an object, else one text per line."""
    read = decode(content, STDIN, encoding)
    if not read.text.lstrip().startswith("{"):
        return _checked(_lines(read.text, read.encoding, STDIN), TEXT)
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        file.write(read.text.encode())
        file.flush()
        try:
            table = read_file(file.name)
        except DataError as error:
            raise DataError(str(error).replace(file.name, STDIN)) from None
    return in_column(Table(STDIN, table.columns, table.rows, table.detected), column)


def from_texts(texts: Sequence[str]) -> InputTable:
    """Take texts as they were given."""
    return InputTable(
        (), tuple(_row(Row(f"text {n}", {"text": text}), "text", "--text") for n, text in enumerate(texts, 1)), ""
    )


def require_writable(out: Path) -> None:
    """Check that results can be written to this file; raises `InputError` before anything is predicted."""
    if out.suffix.lower() not in OUT_SUFFIXES:
        raise InputError(f"'{out}' ends in '{out.suffix}'; choose one of {', '.join(OUT_SUFFIXES)}.")
    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"'{out}' cannot be written; name a file in a folder that exists.")


def write_answers(out: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows in the form that the suffix names, whole or not at all; lists and objects are JSON in CSV."""
    suffix = out.suffix.lower()
    if suffix == ".jsonl":
        write_text(out, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))
    elif suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
        write_text(out, text.getvalue())
    else:
        import pyarrow as pa
        from pyarrow import parquet

        flat = {name: [_flat(row.get(name)) for row in rows] for name in columns}
        temporary = out.with_name(f".{out.name}.part")
        parquet.write_table(pa.table(flat), temporary)
        temporary.replace(out)


def _cell(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False, default=str)


def _flat(value: object) -> object:
    """Write objects with keys of their own, such as probabilities, as JSON: Parquet would give every row all keys."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Mapping) else value


def _lines(text: str, encoding: str, source: str) -> Table:
    """Make a row of every line, also of empty ones, so that answers align; what ends the last line begins none."""
    lines = _LINE_END.split(text)
    if not lines[-1]:
        lines.pop()
    rows = tuple(Row(f"line {number}", {TEXT: line}) for number, line in enumerate(lines, start=1))
    return Table(source, (TEXT,), rows, (encoding,))


def _checked(table: Table, column: str) -> InputTable:
    rows = tuple(_row(row, column, table.source) for row in table.rows)
    if all(row.text is None for row in rows):
        raise DataError(f"'{table.source}' holds no input; give one per line.")
    return InputTable(table.columns, rows, table.told)


def _row(row: Row, column: str, source: str) -> InputRow:
    try:
        text = text_of(row, column, source)
    except DataError as error:
        return InputRow(row.where, row.values, None, str(error))
    problem = "" if text is not None else f"There is no text in {row.where}."
    return InputRow(row.where, row.values, text, problem)
