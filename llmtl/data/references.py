"""The reference in a row: the cell that the kind of task reads into canonical form.

An empty cell is not a reference; whether it means "none" or "not labelled yet" only the data's owner knows.
Not covered: what a kind takes (`llmtl.kinds`), labels that are none of the task's (`llmtl.data.examples`).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from llmtl.data.cells import as_name, encodable, missing, name_of
from llmtl.data.python_lists import parse_python
from llmtl.data.table import Row
from llmtl.errors import DataError
from llmtl.json_and_yaml import parse_json
from llmtl.kinds.kind import Kind


@dataclass(frozen=True)
class ReferenceColumn:
    """Where references stand and how they are written; `labels` are the task's in order, if given."""

    column: str
    source: str
    kind: Kind
    separator: str
    labels: Sequence[str] = ()
    repeated: list[str] = field(default_factory=list, compare=False)
    """Places of rows that name a label twice, as they are met."""

    def read(self, row: Row, text: str) -> tuple[str, ...]:
        """Read the references of a row, the first one first; nothing where the cell is empty. Raises `DataError`."""
        value = row.values.get(self.column)
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return ()
        return self.kind.read(ReferenceCell(self, row, text))


@dataclass(frozen=True)
class ReferenceCell:
    """The cell of one row, which is not empty, as kinds read it (`llmtl.kinds.kind.Cell`)."""

    column: ReferenceColumn
    row: Row
    text: str

    @property
    def value(self) -> object:
        """Give the value as the source holds it."""
        return self.row.values[self.column.column]

    @property
    def labels(self) -> Sequence[str]:
        """Give the task's labels in order, if they are known."""
        return self.column.labels

    @property
    def separator(self) -> str:
        """Give what stands between several labels in a string."""
        return self.column.separator

    def name(self) -> str | None:
        """Read the value as one string or number."""
        return name_of(self.row, self.column.column, self.column.source)

    def items(self, unpack: Callable[[object], object] = lambda value: value) -> list[object]:
        """Read a list, or the list that a string holds as JSON or Python writes it."""
        value = unpack(self._parsed(self.value) if isinstance(self.value, str) else self.value)
        if not isinstance(value, list):
            self.fail(f"{value!r:.40}; write a list, [] for none")
        return value

    def _parsed(self, text: str) -> object:
        try:
            return parse_json(text)
        except json.JSONDecodeError as error:
            try:
                return parse_python(text)
            except ValueError:
                self.fail(
                    f"no JSON list ({error.msg}, column {error.colno}); write it as JSON does, with double quotes"
                )

    def name_of(self, item: object) -> str:
        """Read one item of a list as a string or number."""
        name = as_name(item, self.row, self.column.source) if isinstance(item, str | int | float) else ""
        if not name:
            self.fail(f"{item!r:.40} in its list; write strings or numbers")
        return name

    def text_of(self, item: object) -> str:
        """Read one item of a list as a text, as it stands."""
        if not isinstance(item, str):
            self.fail(f"{item!r:.40} in its list; write texts")
        return encodable(item, self.row, self.column.source)

    def name_twice(self) -> None:
        """Remember that the cell names a label twice."""
        self.column.repeated.append(self.row.where)

    def fail(self, what: str) -> NoReturn:
        """Refuse the cell for holding `what`."""
        column = self.column
        raise DataError(f"Column '{column.column}' of '{column.source}' holds {what} ({self.row.where}).") from None
