"""Unlabelled inputs to predict, from a file. Not covered: labelled examples (`llmtl.data.examples`)."""

from pathlib import Path

from llmtl.data.file_formats import read_file
from llmtl.errors import DataError, MissingFileError


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
    try:
        return [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except UnicodeDecodeError as error:
        raise DataError(f"'{path}' is not UTF-8 (byte {error.start}); save it as UTF-8.") from error


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
