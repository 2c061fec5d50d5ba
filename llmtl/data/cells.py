"""One cell of a table as a string. Not covered: spans, lists and several references (`llmtl.data.references`)."""

import math

from llmtl.data.table import Row
from llmtl.errors import DataError
from llmtl.lookalikes import plain_name


def text_of(row: Row, column: str, source: str) -> str | None:
    """Read a text as it stands; None for nothing but white space. Raises `DataError` for anything but text."""
    value = row.values.get(column)
    if missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise DataError(
            f"Column '{column}' of '{source}' holds {value!r:.40} in {row.where}, which is not text; name the column "
            "with the text."
        )
    return encodable(value, row, source)


def name_of(row: Row, column: str, source: str) -> str | None:
    """Read a label, an id or a group as a string in one spelling; None if missing. Raises `DataError`."""
    value = row.values.get(column)
    if missing(value):
        return None
    if not isinstance(value, str | int | float):
        several = ", or set task.kind=multi-label if a text can have several" if isinstance(value, list) else ""
        raise DataError(
            f"Column '{column}' of '{source}' holds {value!r:.40} in {row.where}; write one string or number per row"
            f"{several}."
        )
    return as_name(value, row, source) or None


def as_name(value: str | float | bool, row: Row, source: str) -> str:
    """Write a value as `true`, `3` (also for 3.0) or the text in one spelling (`llmtl.lookalikes`)."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return encodable(plain_name(str(value)), row, source)


def missing(value: object) -> bool:
    """Say whether there is no value; pandas writes a missing value of any type as a not-a-number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def encodable(value: str, row: Row, source: str) -> str:
    """Check that the value can be encoded; JSON can smuggle in half of a surrogate pair, which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        where = row.where[0].upper() + row.where[1:]
        raise DataError(f"{where} of '{source}' holds half of a surrogate pair; write whole characters.") from None
    return value
