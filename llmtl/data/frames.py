"""Rows in memory: pandas and polars frames, Arrow tables, `datasets`, lists of dicts, as the table that files give.

They are told apart by the package of their type, so that none of those packages is imported for it. Only the columns
that are asked for are read. Not covered: what the columns mean (`llmtl.data.examples`), frames larger than memory.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmtl.data.cells import encodable
from llmtl.data.hub import rows_of
from llmtl.data.table import Row, Table, quoted
from llmtl.errors import DataError

TRAIN, TEST = "train", "test"
FOR_CHOOSING = ("validation", "valid", "dev")
"""Splits of a `DatasetDict` whose rows join those of train: llmtl draws its own dev from them."""
TAKEN = "a pandas or polars DataFrame, a datasets.Dataset, an Arrow table or a list of dicts"


def is_frame(value: object) -> bool:
    """Tell whether a value holds rows; a path does not."""
    return _package(value) in _READERS or _is_dicts(value) or _is_splits(value)


def splits_of(value: object) -> tuple[list[object], object | None]:
    """Give the frames whose rows are split, and the one that is used whole as test, if any: of a `DatasetDict` its own.

    Raises `DataError` for a `DatasetDict` without a split `train`.
    """
    if not _is_splits(value):
        return [value], None
    assert isinstance(value, Mapping)
    if len(value) == 1:
        return list(value.values()), None
    if TRAIN not in value:
        raise DataError(
            f"The DatasetDict has the splits {quoted(list(value))}, none of them 'train'; give one of them."
        )
    return [value[TRAIN], *(value[name] for name in FOR_CHOOSING if name in value)], value.get(TEST)


def table_of(frames: Sequence[object], columns: Sequence[str]) -> Table:
    """Read these columns of frames, one below the other; rows are counted from 1.

    Raises `DataError` for a frame without one of the columns, and for a cell that JSON cannot hold.
    """
    rows: list[Row] = []
    source, named = _name(frames[0]), tuple[str, ...]()
    for frame in frames:
        found, records = _records(frame)
        named = tuple(dict.fromkeys((*named, *found)))
        first = tuple(Row("", each) for each in records[:1])
        Table(source, found, first, repeated=_repeated(found)).require(*columns)
        for record in records:
            row = Row(f"row {len(rows) + 1}", record)
            rows.append(Row(row.where, {name: _plain(record.get(name), name, row, source) for name in columns}))
    return Table(source, named, tuple(rows))


def columns_of(frame: object) -> tuple[str, ...]:
    """List the columns of a frame; raises `DataError` for what is not one."""
    return _records(frame)[0]


def _records(frame: object) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    """Give the columns of a frame, and a mapping per row."""
    reader = _READERS.get(_package(frame))
    if reader is not None:
        return reader(frame)
    if not _is_dicts(frame):
        raise DataError(f"{_name(frame)} is not data that can be read; give {TAKEN}.")
    assert isinstance(frame, Sequence)
    return _listed(frame)


def _pandas(frame: Any) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    if not hasattr(frame, "columns"):
        raise DataError(
            f"A {_name(frame)} has no columns; give a DataFrame with one for the text and one for the label."
        )
    columns = _named(frame.columns)
    return columns, [dict(zip(columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _polars(frame: Any) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    if hasattr(frame, "collect"):
        frame = frame.collect()
    if not hasattr(frame, "columns"):
        raise DataError(
            f"A {_name(frame)} has no columns; give a DataFrame with one for the text and one for the label."
        )
    return _named(frame.columns), frame.to_dicts()


def _arrow(table: Any) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    if not hasattr(table, "to_pylist") or not hasattr(table, "column_names"):
        raise DataError(f"A {_name(table)} has no columns; give a Table with one for the text and one for the label.")
    return _named(table.column_names), table.to_pylist()


def _dataset(dataset: Any) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    if not dataset.column_names or not dataset.features:
        raise DataError(f"The columns of this {_name(dataset)} are not known; give a Dataset that is not streamed.")
    return _named(dataset.column_names), rows_of(dataset)


_READERS = {"pandas": _pandas, "polars": _polars, "pyarrow": _arrow, "datasets": _dataset}


def _listed(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    wrong = next((number for number, row in enumerate(rows, start=1) if not isinstance(row, Mapping)), None)
    if wrong is not None:
        raise DataError(
            f"Item {wrong} of the list is {type(rows[wrong - 1]).__name__}, not a dict; give a dict per row."
        )
    return _named(dict.fromkeys(name for row in rows for name in row)), rows


def _named(columns: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(column) for column in columns)


def _repeated(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, count in Counter(names).items() if count > 1))


def _package(value: object) -> str:
    return "" if _is_splits(value) else type(value).__module__.partition(".")[0]


def _is_dicts(value: object) -> bool:
    return isinstance(value, list | tuple) and (not value or isinstance(value[0], Mapping))


def _is_splits(value: object) -> bool:
    """Tell a `DatasetDict`, or any mapping of names to frames."""
    return isinstance(value, Mapping) and bool(value) and all(is_frame(each) for each in value.values())


def _name(value: object) -> str:
    return type(value).__name__


def _plain(value: Any, column: str, row: Row, source: str) -> Any:
    """Give a cell as JSON holds it, None for every kind of missing value; raises `DataError` for anything else."""
    if isinstance(value, str):
        return encodable(str(value), row, source)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, column, row, source) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(item, column, row, source) for item in items]
    if hasattr(value, "tolist"):  # of numpy: an array, or one number
        return _plain(value.tolist(), column, row, source)
    if value is None or type(value).__name__ in ("NAType", "NaTType") or _is_nan(value):
        return None
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise DataError(
        f"Column '{column}' of the {source} holds {value!r:.40} in {row.where}; give texts, numbers or lists of them."
    )


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
