"""Files whose cells have types: Parquet and Excel. Not covered: `.xls` and `.ods`, which can be saved as `.xlsx`."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmtl.data.class_names import features_of, with_names
from llmtl.data.separated import Record, tabulated
from llmtl.data.table import SPREADSHEET, Row, Table
from llmtl.errors import DataError
from llmtl.packages import require

_MOST_CELLS = 10**8
_MOST_BYTES = 2**30
"""What a spreadsheet may unpack to: several times a full sheet, and what a few hundred KB of zeros can pack."""
_FAILED = frozenset(
    {"#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#DIV/0!", "#SPILL!", "#CALC!", "#GETTING_DATA"}
)
"""What a cell holds whose formula gave no value."""
_NO_LIMIT = 2**31 - 1
"""The largest limit that pyarrow takes; its own would refuse a schema with many class names as a broken file."""


def read_parquet(path: Path, source: str) -> Table:
    """Read a Parquet file; numbers of classes come back as the names that the file carries for them."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path, thrift_string_size_limit=_NO_LIMIT, thrift_container_size_limit=_NO_LIMIT)
        cells = file.metadata.num_rows * file.metadata.num_columns
        if cells > _MOST_CELLS:
            raise DataError(f"'{source}' has {cells:,} cells, more than llmtl can hold in memory; give a part of it.")
        table = file.read()
        found = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"'{source}' is not a readable Parquet file ({_reason(error)}); write it again.") from None
    features = features_of(table.schema.metadata)
    rows = tuple(Row(f"row {number}", with_names(values, features)) for number, values in enumerate(found, start=1))
    return Table(source, tuple(table.column_names), rows, ("Parquet",))


def read_excel(path: Path, source: str) -> Table:
    """Read the first sheet of an Excel file with several columns, else with content: cells as CSV would hold them.

    Formulas are read by their last value; hidden sheets come last.

    Raises `MissingPackageError` where openpyxl is not installed, and `DataError` for what is no Excel file.
    """
    require(f"Reading '{source}'", "openpyxl")
    import zlib
    from zipfile import BadZipFile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    _require_small(path, source)
    broken = (BadZipFile, InvalidFileException, zlib.error, LookupError, ValueError, TypeError, AttributeError)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = sorted(book.worksheets, key=lambda sheet: sheet.sheet_state != "visible")
            filled = [(sheet.title, records) for sheet in sheets if (records := _below_titles(list(_records(sheet))))]
        finally:
            book.close()
    except (*broken, SyntaxError, EOFError, NotImplementedError, RuntimeError, OverflowError, OSError) as error:
        # SyntaxError: of XML; RuntimeError: a file that is encrypted
        raise DataError(
            f"'{source}' is not a readable .xlsx file ({_reason(error)}); save it again as .xlsx or .csv."
        ) from None
    if not filled:
        raise DataError(f"'{source}' is empty; give a sheet with a header and labelled examples.")
    title, records = next((each for each in filled if _width(each[1][0]) > 1), filled[0])
    shown = f"sheet '{title}'" + (f", one of {len(filled)}" if len(filled) > 1 else "")
    return tabulated(records, source, (SPREADSHEET, shown))


def _require_small(path: Path, source: str) -> None:
    """Raise `DataError` for an archive that unpacks to more than `_MOST_BYTES`; a broken one is left to its reader."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(path) as packed:
            unpacked = sum(part.file_size for part in packed.infolist())
    except (BadZipFile, OSError, ValueError, NotImplementedError):
        return
    if unpacked > _MOST_BYTES:
        raise DataError(f"'{source}' unpacks to {unpacked / 2**30:.1f} GiB; save what you need of it as .csv.")


def _reason(error: BaseException) -> str:
    return f"{str(error).splitlines()[0]:.200}".rstrip(".") if str(error).strip() else type(error).__name__


def _records(sheet: Any) -> Iterator[Record]:
    """Yield the rows of a sheet from its first filled one on."""
    started = False
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        fields = [_cell(value) for value in cells]
        started = started or any(map(str.strip, fields))
        if started:
            yield f"row {number}", fields


def _below_titles(records: list[Record]) -> list[Record]:
    """Leave out what stands above a table: rows with one filled cell, where most rows have several."""
    table = next((index for index, record in enumerate(records) if _width(record) > 1), 0)
    wide = sum(_width(record) > 1 for record in records)
    return records[table:] if 2 * wide > len(records) else records


def _width(record: Record) -> int:
    return sum(bool(field.strip()) for field in record[1])


def _cell(value: object) -> str:
    if value is None or (isinstance(value, str) and value in _FAILED):
        return ""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time.min:
        return value.date().isoformat()
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
