"""Fields between separators (CSV, TSV), and records of cells with a header (spreadsheets), as tables.

The separator is found: of those in the header the one that cuts every record into as many fields. What a spreadsheet
leaves behind does no harm: a first line `sep=;`, columns without a name or content, empty rows at the end. Read with
the standard library, because pandas and pyarrow lose the line numbers that a message about a bad row needs.
Not covered: files without a header.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from llmtl.data.table import Row, Table
from llmtl.errors import DataError
from llmtl.numerals import plural

SEPARATORS = (",", ";", "\t", "|")
LONGEST_FIELD = 2**31 - 1
"""Characters of a field: what the csv module can be told on every platform. Its own limit, 131,072, would refuse long
texts."""
Record = tuple[str, list[str]]
"""Where a record stands, such as "line 7", and its fields."""


def read_separated(text: str, source: str, encoding: str, *, usual: str) -> Table:
    """Read a text with a header and fields between separators; `usual` is the one that the file's name promises.

    Raises `DataError` with the line of a record that has other fields than the header, or broken quotes.
    """
    body, first, told = _without_separator_line(text)
    header = next(iter(_lenient(body, told or usual)), None)
    if header is None:
        raise DataError(f"'{source}' is empty; give a file with a header and labelled examples.")
    known = [told] if told else sorted(SEPARATORS, key=lambda each: each != usual)
    tried = [(separator, _attempt(body, source, separator, first)) for separator in known if separator in header]
    if not tried:
        tried = [(known[0], _attempt(body, source, known[0], first))]
    whole = [(separator, table) for separator, table in tried if isinstance(table, Table)]
    if whole:
        separator, table = max(whole, key=lambda each: len(each[1].columns))
        shown = f"separated by {'tabs' if separator == chr(9) else repr(separator)}"
        return Table(source, table.columns, table.rows, (encoding, shown), table.repeated)
    # what the header promises most fields for is what it was meant to be separated by
    raise max((error for _, error in tried if isinstance(error, _Misread)), key=lambda each: each.columns).error


def tabulated(records: Iterable[Record], source: str, detected: tuple[str, ...] = ()) -> Table:
    """Make a table of records, the first of which names the columns.

    Nameless columns without content are left out, others are called after their position; a name that stands twice is
    numbered, and cannot be asked for. Raises `DataError` for no record and for a record that does not fit the header.
    """
    found = list(records)
    while len(found) > 1 and not any(map(str.strip, found[-1][1])):
        found.pop()
    if not found:
        raise DataError(f"'{source}' is empty; give a file with a header and labelled examples.")
    names = [name.strip() for name in found[0][1]]
    if not any(names):
        raise DataError(f"The first row of '{source}' is empty; write the names of the columns there.")
    named = max(index for index, name in enumerate(names) if name) + 1
    # a blank line is an empty cell of an only column, and no record of several
    told = (each for each in found[1:] if len(names) == 1 or len(each[1]) > 1 or any(map(str.strip, each[1])))
    rows = [(where, _fitted(fields, names, named, where, source)) for where, fields in told]
    kept = [index for index, name in enumerate(names) if name or any(fields[index].strip() for _, fields in rows)]
    columns = _columns(names)
    return Table(
        source,
        tuple(columns[index] for index in kept),
        tuple(Row(where, {columns[index]: fields[index] for index in kept}) for where, fields in rows),
        detected,
        tuple(sorted(name for name, count in Counter(names).items() if name and count > 1)),
    )


def _fitted(fields: list[str], names: Sequence[str], named: int, where: str, source: str) -> list[str]:
    """Bring a record to the header's length: what is too much must be empty, what is missing must have no name."""
    if len(fields) > len(names) and not any(map(str.strip, fields[len(names) :])):
        return fields[: len(names)]
    if named <= len(fields) <= len(names):
        return [*fields, *[""] * (len(names) - len(fields))]
    more = ""
    if len(names) == 1:
        more = f", or take away what stands above the names of the columns, if '{names[0]:.40}' is no such name"
    raise DataError(
        f"{where[0].upper()}{where[1:]} of '{source}' has {plural(len(fields), 'field')} and the header has "
        f"{len(names)}; put fields that hold the separator in double quotes{more}."
    )


def _columns(names: Sequence[str]) -> list[str]:
    """Name the columns: those without a name by position, those of a repeated name with a number."""
    given: list[str] = []
    for position, name in enumerate(names, start=1):
        own = name or f"column {position}"
        number = 1
        while own in given or (number > 1 and own in names):
            number += 1
            own = f"{name or f'column {position}'} ({number})"
        given.append(own)
    return given


class _Misread(Exception):  # noqa: N818 (not an error yet: another separator may do)
    """A separator did not do; `columns` counts those of the header."""

    def __init__(self, error: DataError, columns: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.columns = columns


def _attempt(body: str, source: str, separator: str, first: int) -> Table | _Misread:
    """Read the text with one separator, quotes doubled or else behind a backslash; why it cannot be where it cannot."""
    failure = None
    for escape in (None, "\\") if '\\"' in body else (None,):
        # quotes after a space are quotes where the whole text reads so, and characters where it does not
        for spaced in (True, False) if f'{separator} "' in body else (False,):
            try:
                return tabulated(_records(body, source, separator, first, escape, spaced), source)
            except DataError as error:
                failure = failure or error
    assert failure is not None
    return _Misread(failure, len(next(csv.reader([_header_line(body)], delimiter=separator), [])))


def _header_line(body: str) -> str:
    return next((line for line in body.splitlines() if line.strip()), "")


def _without_separator_line(text: str) -> tuple[str, int, str | None]:
    """Take away the line by which spreadsheets name the separator: the rest, its first line, and the separator."""
    line, _, rest = text.partition("\n")
    line = line.rstrip("\r")
    if line.casefold().startswith("sep=") and line[4:] in SEPARATORS:
        return rest, 2, line[4:]
    return text, 1, None


def _lenient(body: str, separator: str) -> Iterator[str]:
    """Yield the records that are not blank, each as one string, whatever is wrong with their quotes."""
    csv.field_size_limit(LONGEST_FIELD)
    for fields in csv.reader(io.StringIO(body, newline=""), delimiter=separator):
        if any(map(str.strip, fields)):
            yield separator.join(fields)


def _records(body: str, source: str, separator: str, line: int, escape: str | None, spaced: bool) -> Iterator[Record]:
    """Yield the line a record starts in and its fields, one empty field of a blank line below the header.

    Spaces before fields are skipped if `spaced`. The mark at which DOS ended a file is not a field.
    """
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(
        io.StringIO(body.removesuffix("\x1a"), newline=""),
        delimiter=separator,
        strict=True,
        escapechar=escape,
        doublequote=escape is None,
        skipinitialspace=spaced,
    )
    first, begun = line, False
    try:
        for fields in reader:
            begun = begun or len(fields) > 1 or bool("".join(fields).strip())
            if begun:
                yield f"line {line}", fields or [""]
            line = reader.line_num + first
    except csv.Error as error:
        raise DataError(
            f"The record that starts in line {line} of '{source}' has broken quoting ({error}); close its quotes and "
            "double those inside quoted fields."
        ) from None
