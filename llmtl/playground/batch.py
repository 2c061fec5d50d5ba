"""Labelling the rows of a file through the endpoint: reading it, asking in parallel, writing it with the answers.

Files are read as `llmtl predict` reads them. A row that cannot be labelled says why in its own `error` cell and does
not stop the others. Not covered: files beyond `MOST_ROWS` rows, and answers in another form than CSV; `llmtl predict`
has both.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from types import MappingProxyType

from llmtl.data.cells import missing
from llmtl.data.inputs import InputTable, in_column, read_table
from llmtl.data.table import Table
from llmtl.errors import DataError, ServingError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.playground.http_client import Endpoint, RefusedError

MOST_BYTES = 10 * 2**20
MOST_ROWS = 20_000
MOST_AT_ONCE = 32
"""Inputs of one request: enough for the server to batch, few enough for the progress bar to move."""
PARALLEL = 4
ERROR = "error"
SUFFIXES = (".csv", ".tsv", ".xlsx", ".xlsm", ".jsonl", ".ndjson", ".json", ".parquet", ".txt")
"""What `llmtl predict` reads."""
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""OWASP, "CSV Injection": cells that begin so are run as formulas by spreadsheets."""


@dataclass(frozen=True)
class Sheet:
    """A file as it was read: `rows` hold one text per column, `places` say where each stands, such as "line 7"."""

    table: Table

    @property
    def name(self) -> str:
        """Give the name that the visitor knows."""
        return self.table.source

    @property
    def columns(self) -> tuple[str, ...]:
        """List the columns in order."""
        return self.table.columns

    @property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Write every cell as a text; lists and objects are JSON."""
        return tuple(tuple(_text(row.values.get(column)) for column in self.columns) for row in self.table.rows)

    def inputs(self, column: str) -> InputTable:
        """Take the messages in a column, those without a text with what is wrong; raises `DataError` for none."""
        return in_column(self.table, column)

    @property
    def likeliest(self) -> str:
        """Find the column that most looks like messages: the one with the longest texts in the first rows."""
        first = self.table.rows[:200]
        cells = {column: [row.values.get(column) for row in first] for column in self.columns}
        lengths = [sum(len(cell) for cell in cells[column] if isinstance(cell, str)) for column in self.columns]
        return self.columns[lengths.index(max(lengths))]


def _text(value: object) -> str:
    if missing(value):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class BatchOutcome:
    """What became of one row: a label with its probability (or another canonical answer), or an error."""

    label: str = ""
    probability: float | None = None
    error: str = ""


def read_sheet(path: Path, *, name: str) -> Sheet:
    """Read the rows of a file that the visitor calls `name`; raises `DataError` for what cannot be labelled."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"'{name}' is not a table; save it as one of {', '.join(SUFFIXES)}.")
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"'{name}' is larger than {MOST_BYTES // 2**20} MB; split it.")
    try:
        table = read_table(path)
    except DataError as error:
        raise DataError(str(error).replace(str(path), name).replace(path.name, name)) from None
    if not table.rows:
        raise DataError(f"'{name}' has a header and no rows; add the messages to label.")
    if len(table.rows) > MOST_ROWS:
        raise DataError(
            f"'{name}' has {len(table.rows):,} rows and the playground labels at most {MOST_ROWS:,} at a time; "
            "split it, or use `llmtl predict`."
        )
    return Sheet(replace(table, source=name))


def label_texts(
    endpoint: Endpoint,
    texts: Sequence[str],
    *,
    model: str,
    at_once: int,
    problems: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[dict[int, BatchOutcome]]:
    """Yield what became of more rows, by their position, until all are done; closing the iterator stops the asking.

    Rows with one of the `problems`, by position, and rows without a text keep their place and are not sent.
    When the server goes away the rows that are left get its error at once, without being sent.
    """
    empty = {
        index: BatchOutcome(error=problems.get(index, "The cell is empty."))
        for index, text in enumerate(texts)
        if index in problems or not text.strip()
    }
    yield empty
    left = [index for index in range(len(texts)) if index not in empty]
    size = max(1, min(at_once, MOST_AT_ONCE))
    stop = Event()
    pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="playground-batch")
    try:
        asked: list[Future[dict[int, BatchOutcome]]] = [
            pool.submit(
                _label, endpoint, {index: texts[index] for index in left[first : first + size]}, model=model, stop=stop
            )
            for first in range(0, len(left), size)
        ]
        for done in as_completed(asked):
            yield done.result()
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)


def _label(endpoint: Endpoint, texts: dict[int, str], *, model: str, stop: Event) -> dict[int, BatchOutcome]:
    """Return the outcome of a few rows; where the server refuses them together, each is asked on its own."""
    if stop.is_set():
        return dict.fromkeys(texts, BatchOutcome(error="Not sent: the server had stopped answering."))
    try:
        answers = endpoint.predict(list(texts.values()), model)
    except RefusedError as error:
        if len(texts) == 1:
            return dict.fromkeys(texts, BatchOutcome(error=str(error)))
        alone = [_label(endpoint, {index: text}, model=model, stop=stop) for index, text in texts.items()]
        return {index: outcome for part in alone for index, outcome in part.items()}
    except ServingError as error:
        stop.set()
        return dict.fromkeys(texts, BatchOutcome(error=str(error)))
    return {
        index: BatchOutcome(answer.label, answer.probabilities.get(answer.label), answer.error)
        for index, answer in zip(texts, answers, strict=True)
    }


def write_labelled(path: Path, sheet: Sheet, outcomes: Sequence[BatchOutcome], *, kind: Kind = CLASSIFICATION) -> None:
    """Write the sheet with the columns that the kind of task adds, safe to open in a spreadsheet."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*map(harmless, sheet.columns), *added_columns(sheet.columns, kind=kind)])
        for row, outcome in zip(sheet.rows, outcomes, strict=True):
            probability = "" if outcome.probability is None else f"{outcome.probability:.6f}"
            sure = [probability] if kind.one_label else []
            writer.writerow([*map(harmless, row), harmless(outcome.label), *sure, harmless(outcome.error)])


def added_columns(columns: Sequence[str], *, kind: Kind = CLASSIFICATION) -> list[str]:
    """Name the added columns: `predicted_label` and so on where the file has such a column already.

    A label has a probability; other answers are JSON (`labels`, `spans`) or `text`.
    """
    sure = ["probability"] if kind.one_label else []
    return [_free(name, columns) for name in (kind.shape.value, *sure, ERROR)]


def _free(name: str, columns: Sequence[str]) -> str:
    return _free(f"predicted_{name}", columns) if name in columns else name


def harmless(cell: str) -> str:
    """Make a cell that no spreadsheet runs as a formula: an apostrophe before it, unless it is a plain number."""
    if not cell.startswith(_FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
