"""Reading local files: CSV, TSV, JSON Lines, JSON, Parquet and Excel, chosen by suffix.

Nothing here touches the network or a cache. Not covered: compressed files, files larger than memory.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from llmtl.data.encodings import Decoded, decode
from llmtl.data.separated import read_separated
from llmtl.data.table import Row, Table, did_you_mean, quoted
from llmtl.data.typed_files import read_excel, read_parquet
from llmtl.errors import DataError, MissingFileError
from llmtl.json_and_yaml import parse_json

_OTHER_SUFFIXES = (".txt", ".xls", ".ods", ".gz", ".zip")
"""Suffixes of files that are recognised but not read, so that they are not looked for on the Hub."""


def is_local(name: str) -> bool:
    """Say whether `name` means a file: it exists, has a known suffix or is spelled as a path."""
    path = Path(name).expanduser()
    known = path.suffix.lower() in (*_READERS, *_OTHER_SUFFIXES)
    return known or path.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1


def is_table(name: str) -> bool:
    """Say whether the name ends as that of a file that `read_file` reads."""
    return Path(name).suffix.lower() in _READERS


def read_file(name: str, encoding: str | None = None) -> Table:
    """Read the rows of a local file; the encoding of text is found unless it is named.

    Raises `MissingFileError` when there is none, `MissingPackageError` for Excel without openpyxl, and `DataError` for
    an unknown suffix, bytes that are not text, broken quoting or JSON, each with its line.
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
    return reader(path, name, encoding)


def _nearest_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f" (there is no folder '{path.parent}')"
    return did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()))


def read_text(path: Path, source: str, encoding: str | None = None) -> Decoded:
    """Read a text file in its encoding, without a byte order mark; raises `DataError` for what is not text."""
    return decode(path.read_bytes(), source, encoding)


def loads(text: str) -> object:
    """Read JSON; whole numbers of more digits than Python takes stay texts, halves of pairs are for `cells` to find."""
    value: object = parse_json(text, whole=_whole, half_pairs=True)
    return value


def _whole(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # sys.set_int_max_str_digits: 4,300
        return digits


def _read_csv(path: Path, source: str, encoding: str | None) -> Table:
    read = read_text(path, source, encoding)
    return read_separated(read.text, source, read.encoding, usual=",")


def _read_tsv(path: Path, source: str, encoding: str | None) -> Table:
    read = read_text(path, source, encoding)
    return read_separated(read.text, source, read.encoding, usual="\t")


def _read_json_lines(path: Path, source: str, encoding: str | None) -> Table:
    read = read_text(path, source, encoding)
    if read.text.lstrip().startswith("["):
        try:
            document = loads(read.text)
        except json.JSONDecodeError:
            document = None
        if isinstance(document, list) and any(isinstance(item, dict) for item in document):
            return _listed(document, read, source)
    return _of_lines(read, source)


def _read_json(path: Path, source: str, encoding: str | None) -> Table:
    read = read_text(path, source, encoding)
    try:
        return _listed(loads(read.text), read, source)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and read.text.lstrip().startswith("{"):
            return _of_lines(read, source)
        raise DataError(f"'{source}' is not valid JSON: line {error.lineno}, {error.msg}; fix that line.") from None


def _of_lines(read: Decoded, source: str) -> Table:
    rows = []
    # Not splitlines(), which also breaks at characters such as U+2028 that JSON allows inside strings.
    for number, line in enumerate(read.text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"Line {number} of '{source}' is not valid JSON ({error.msg}, column {error.colno}); "
                "write one object per line."
            ) from None
        rows.append((f"line {number}", value))
    return _objects(rows, source, read.encoding)


def _listed(document: object, read: Decoded, source: str) -> Table:
    if not isinstance(document, list):
        raise DataError(f"'{source}' holds {_kind(document)} at its top; write a list of objects.")
    items = ((f"item {number}", value) for number, value in enumerate(document, start=1))
    return _objects(items, source, read.encoding)


def _objects(items: Iterable[tuple[str, object]], source: str, encoding: str) -> Table:
    rows, columns = [], dict[str, None]()
    for where, value in items:
        if not isinstance(value, dict):
            raise DataError(f"{where.capitalize()} of '{source}' holds {_kind(value)}; write one object an example.")
        columns.update(dict.fromkeys(value))
        rows.append(Row(where, value))
    return Table(source, tuple(columns), tuple(rows), (encoding,))


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


def _read_parquet(path: Path, source: str, encoding: str | None) -> Table:
    del encoding
    return read_parquet(path, source)


def _read_excel(path: Path, source: str, encoding: str | None) -> Table:
    del encoding
    return read_excel(path, source)


_READERS = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json,
    ".parquet": _read_parquet,
    ".xlsx": _read_excel,
    ".xlsm": _read_excel,
}
