"""Files whose cells have types: Parquet and Excel. Not covered: `.xls` and `.ods`, which can be saved as `.xlsx`."""

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmtl.data.class_names import features_of, with_names
from llmtl.data.separated import Record, tabulated
from llmtl.data.table import Row, Table
from llmtl.errors import DataError
from llmtl.packages import require

_NO_LIMIT = 2**31 - 1
"""The largest limit that pyarrow takes; its own would refuse a schema with many class names as a broken file."""


def read_parquet(path: Path, source: str) -> Table:
    """Read a Parquet file; numbers of classes come back as the names that the file carries for them."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path, thrift_string_size_limit=_NO_LIMIT, thrift_container_size_limit=_NO_LIMIT)
        table = file.read()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"'{source}' is not a readable Parquet file ({reason}); write it again.") from None
    features = features_of(table.schema.metadata)
    rows = tuple(
        Row(f"row {number}", with_names(values, features)) for number, values in enumerate(table.to_pylist(), start=1)
    )
    return Table(source, tuple(table.column_names), rows, ("Parquet",))


def read_excel(path: Path, source: str) -> Table:
    """Read the first sheet with content of an Excel file; cells as CSV would hold them, formulas by their last value.

    Raises `MissingPackageError` where openpyxl is not installed, and `DataError` for what is no Excel file.
    """
    require(f"Reading '{source}'", "openpyxl")
    from zipfile import BadZipFile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise DataError(
            f"'{source}' is not a readable .xlsx file ({reason}); save it again as .xlsx or .csv."
        ) from None
    try:
        filled = [(sheet.title, records) for sheet in book.worksheets if (records := list(_records(sheet)))]
    finally:
        book.close()
    if not filled:
        raise DataError(f"'{source}' is empty; give a sheet with a header and labelled examples.")
    title, records = filled[0]
    shown = f"sheet '{title}'" + (f", the first of {len(filled)}" if len(filled) > 1 else "")
    return tabulated(records, source, ("Excel", shown))


def _records(sheet: Any) -> Iterator[Record]:
    """Yield the rows of a sheet from its first filled one on."""
    started = False
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        fields = [_cell(value) for value in cells]
        started = started or any(map(str.strip, fields))
        if started:
            yield f"row {number}", fields


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)
