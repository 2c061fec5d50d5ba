"""Unlabelled inputs to predict, from a file. Not covered: labelled examples (`llmtl.data.examples`)."""

import re
from pathlib import Path

from llmtl.data.file_formats import read_file, read_text
from llmtl.errors import DataError, MissingFileError

_LINE_END = re.compile(r"\r\n|\r|\n")
"""Not splitlines(), which also breaks at characters such as U+2028 that stand inside texts."""


def read_inputs(path: Path | str, column: str) -> list[str]:
    """Read the texts in a column of a table file, or the lines of a `.txt` file that are not empty, in order.

    Raises `MissingFileError`, and `DataError` for a missing column, a cell without text or a file without inputs.
    """
    path = Path(path)
    texts = _lines(path) if path.suffix.lower() == ".txt" else _cells(path, column)
    if not texts:
        raise DataError(f"'{path}' holds no input; give one per line.")
    return texts


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise MissingFileError(f"There is no file '{path}'; check the path.")
    return [line for line in _LINE_END.split(read_text(path, str(path)).text) if line.strip()]


def _cells(path: Path, column: str) -> list[str]:
    table = read_file(str(path))
    table.require(column)
    texts = []
    for row in table.rows:
        value = row.values.get(column)
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"Column '{column}' of '{path}' holds no text in {row.where}; fill or remove that row.")
        texts.append(value)
    return texts
