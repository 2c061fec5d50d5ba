"""Reading local files: CSV, TSV, JSON Lines, JSON and Parquet, chosen by suffix.

CSV and JSON are read with the standard library, because pandas and pyarrow lose the line numbers that a message about a
bad row needs; nothing here touches the network or a cache. Not covered: compressed files, spreadsheets, files larger
than memory, encodings other than UTF-8.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from llmtl.data.table import Row, Table, did_you_mean, quoted, separator_hint
from llmtl.errors import DataError, MissingFileError

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_OTHER_SUFFIXES = (".txt", ".xlsx", ".xls", ".gz", ".zip")
"""Suffixes of files that are recognised but not read, so that they are not looked for on the Hub."""


def is_local(name: str) -> bool:
    """Say whether `name` means a file: it exists, has a known suffix or is spelled as a path."""
    path = Path(name).expanduser()
    known = path.suffix.lower() in (*_READERS, *_OTHER_SUFFIXES)
    return known or path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def is_table(name: str) -> bool:
    """Say whether the name ends as that of a file that `read_file` reads."""
    return Path(name).suffix.lower() in _READERS


def read_file(name: str) -> Table:
    """Read the rows of a local file.

    Raises `MissingFileError` when there is none, and `DataError` for an unknown suffix, bytes that are not UTF-8,
    broken quoting or JSON, each with its line.
    """
    path = Path(name).expanduser()
    reader = _READERS.get(path.suffix.lower())
    if path.is_dir():
        held = sorted(entry.name for entry in path.iterdir() if entry.suffix.lower() in _READERS)
        raise DataError(f"'{name}' is a folder; name one file{f', such as {quoted(held, 5)}' if held else ''}.")
    if not path.is_file():
        raise MissingFileError(f"There is no file '{name}'{_nearest_file(path)}; check the path.")
    if reader is None:
        raise DataError(f"'{name}' ends in '{path.suffix}'; save it as one of {', '.join(_READERS)}.")
    if path.stat().st_size == 0:
        raise DataError(f"'{name}' is empty; give a file with labelled examples.")
    return reader(path, name)


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder '{path.parent}')"
    return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))


def _text(path: Path, source: str) -> str:
    """Return the file as text without a byte order mark; raises `DataError` with line and offset of a bad byte."""
    content = path.read_bytes()
    if content.startswith(_UTF16_MARKS):
        raise DataError(f"'{source}' is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path.name} > utf8-{path.name}")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise DataError(
            f"'{source}' holds a NUL byte in line {line}: it is not text, or UTF-16 without its mark; save it as UTF-8."
        )
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"'{source}' is not UTF-8: byte 0x{content[error.start]:02x} in line {line}, at byte offset {error.start}; "
            f"convert it, for instance: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > utf8-{path.name}"
        ) from None
    return text.removeprefix("\ufeff")


def _read_csv(path: Path, source: str) -> Table:
    return _separated(_text(path, source), source, delimiter=",")


def _read_tsv(path: Path, source: str) -> Table:
    return _separated(_text(path, source), source, delimiter="\t")


def _separated(text: str, source: str, *, delimiter: str) -> Table:
    records = _records(text, source, delimiter)
    try:
        header = next(records)[1]
    except StopIteration:
        raise DataError(f"'{source}' is empty; give a file with a header and labelled examples.") from None
    columns = tuple(name.strip() for name in header)
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise DataError(f"'{source}' has column {quoted(repeated)} more than once; rename one of them.")
    rows = []
    for line, fields in records:
        if len(fields) != len(columns):
            if hint := separator_hint(columns):
                raise DataError(f"'{source}' has one column, '{columns[0]}'.{hint}")
            raise DataError(
                f"Line {line} of '{source}' has {len(fields)} fields and the header has {len(columns)}; put fields "
                "that hold the separator in double quotes."
            )
        rows.append(Row(f"line {line}", dict(zip(columns, fields, strict=True))))
    return Table(source, columns, tuple(rows))


def _records(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line a record starts in and its fields; blank lines are skipped."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for fields in reader:
            if len(fields) > 1 or "".join(fields).strip():
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"The record that starts in line {line} of '{source}' has broken quoting ({error}); close its quotes and "
            "double those inside quoted fields."
        ) from None


def _read_json_lines(path: Path, source: str) -> Table:
    rows = []
    # Not splitlines(), which also breaks at characters such as U+2028 that JSON allows inside strings.
    for number, line in enumerate(_text(path, source).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"Line {number} of '{source}' is not valid JSON ({error.msg}, column {error.colno}); "
                "write one object per line."
            ) from None
        rows.append((f"line {number}", value))
    return _objects(rows, source)


def _read_json(path: Path, source: str) -> Table:
    try:
        document = json.loads(_text(path, source))
    except json.JSONDecodeError as error:
        cure = "for one object per line use the suffix .jsonl" if error.msg == "Extra data" else "fix that line"
        raise DataError(f"'{source}' is not valid JSON: line {error.lineno}, {error.msg}; {cure}.") from None
    if not isinstance(document, list):
        raise DataError(f"'{source}' holds {_kind(document)} at its top; write a list of objects.")
    return _objects(((f"item {number}", value) for number, value in enumerate(document, start=1)), source)


def _objects(items: Iterable[tuple[str, object]], source: str) -> Table:
    rows, columns = [], dict[str, None]()
    for where, value in items:
        if not isinstance(value, dict):
            raise DataError(f"{where.capitalize()} of '{source}' holds {_kind(value)}; write one object an example.")
        columns.update(dict.fromkeys(value))
        rows.append(Row(where, value))
    return Table(source, tuple(columns), tuple(rows))


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _read_parquet(path: Path, source: str) -> Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"'{source}' is not a readable Parquet file ({reason}); write it again.") from None
    rows = tuple(Row(f"row {number}", values) for number, values in enumerate(table.to_pylist(), start=1))
    return Table(source, tuple(table.column_names), rows)


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
}
