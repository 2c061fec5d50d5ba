"""Reading data sets from the Hub by name, through the `datasets` library and its cache.

Not covered: data sets that need a loading script (the `datasets` library no longer runs them), streaming.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmtl.data.class_names import with_names
from llmtl.data.table import Row, Table
from llmtl.errors import DataError

DEFAULT_SPLIT = "train"


def read_hub(name: str, subset: str | None = None) -> Table:
    """Read the rows of a Hub data set given as NAME or NAME:SPLIT; class labels come back as their names.

    Raises `DataError` when the Hub cannot be reached or has no such data set, subset or split.
    """
    import datasets
    import httpx

    path, _, split = name.partition(":")
    try:
        with _without_retry_log():
            dataset = datasets.load_dataset(path, subset, split=split or DEFAULT_SPLIT)
    except (
        OSError,
        ValueError,
        RuntimeError,
        ImportError,
        httpx.HTTPError,
        datasets.exceptions.DatasetsError,
    ) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise DataError(
            f"'{name}' is neither a file here nor a data set that could be loaded from the Hub ({reason}); check the "
            "name and the connection, or give a local file."
        ) from None
    rows = tuple(Row(f"row {number}", values) for number, values in enumerate(rows_of(dataset), start=1))
    return Table(name, tuple(dataset.column_names), rows)


def rows_of(dataset: Any) -> list[dict[str, Any]]:
    """Read the rows of a `datasets.Dataset`; class labels come back as their names."""
    features = dataset.features.to_dict()
    return [with_names(values, features) for values in dataset]


@contextmanager
def _without_retry_log() -> Iterator[None]:
    """Keep the Hub client from logging each of its attempts; the final failure becomes our own message."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
