"""The reference in a row, in the canonical form of its kind of task (`llmtl.answers`).

    classification   a string or number
    multi-label      a list, a JSON list in a string, or a string with separators; `[]` for no label
    extraction       a list of {type, start, end, text}, or the same as a JSON string; `[]` for no span
    generation       a string, or a list of strings that are all right

An empty cell is no reference: whether it means "none" or "not labelled yet" only the data's owner knows. Not covered:
labels that are none of the task's (`llmtl.data.loading`), nested and discontinuous spans.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.answers import Span, write_labels, write_spans
from llmtl.data.cells import as_name, encodable, missing, name_of
from llmtl.data.table import Row
from llmtl.errors import DataError
from llmtl.task import TaskKind


@dataclass(frozen=True)
class ReferenceColumn:
    """Where references stand and how they are written; `labels` are the task's in order, if given."""

    column: str
    source: str
    kind: TaskKind
    separator: str
    labels: Sequence[str] = ()

    def read(self, row: Row, text: str) -> tuple[str, ...]:
        """Return the references of a row, the first one first; nothing where the cell is empty. Raises `DataError`."""
        value = row.values.get(self.column)
        if missing(value) or (isinstance(value, str) and not value.strip()):
            return ()
        if self.kind is TaskKind.MULTI_LABEL:
            return (self._labels(value, row),)
        if self.kind is TaskKind.EXTRACTION:
            return (write_spans(self._span(item, row, text) for item in self._items(value, row)),)
        if self.kind is TaskKind.GENERATION and isinstance(value, list):
            return tuple(dict.fromkeys(filter(None, (self._text(item, row) for item in value))))
        name = name_of(row, self.column, self.source)
        return () if name is None else (name,)

    def _labels(self, value: object, row: Row) -> str:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            value = [part for part in value.split(self.separator) if part.strip()]
        items = value if isinstance(value, int | float) else self._items(value, row)
        names = [self._name(item, row) for item in (items if isinstance(items, list) else [items])]
        return write_labels(names, [*self.labels, *sorted(set(names) - set(self.labels))])

    def _items(self, value: object, row: Row) -> list[object]:
        """Return a list, or the list that a JSON string holds."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except json.JSONDecodeError as error:
                raise self._error(
                    row, f"no JSON list ({error.msg}, column {error.colno}); write it as JSON does, with double quotes"
                ) from None
        if not isinstance(value, list):
            raise self._error(row, f"{value!r:.40}; write a list, [] for none")
        return value

    def _name(self, item: object, row: Row) -> str:
        name = as_name(item, row, self.source) if isinstance(item, str | int | float) else ""
        if not name:
            raise self._error(row, f"{item!r:.40} in its list; write strings or numbers")
        return name

    def _text(self, item: object, row: Row) -> str:
        if not isinstance(item, str):
            raise self._error(row, f"{item!r:.40} in its list; write texts")
        return encodable(item.strip(), row, self.source)

    def _span(self, item: object, row: Row, text: str) -> Span:
        """Return the span; its place must be inside the text and read what it says it reads."""
        if not isinstance(item, dict) or not {"type", "start", "end"} <= item.keys():
            raise self._error(row, f"{item!r:.60}; write spans as {{type, text, start, end}}")
        type_, start, end = self._name(item["type"], row), item["start"], item["end"]
        if not (type(start) is int and type(end) is int and 0 <= start < end <= len(text)):
            raise self._error(
                row,
                f"a span from {start!r:.20} to {end!r:.20} in a text of {len(text)} characters; count characters from "
                "0, with the end after the last one",
            )
        found = text[start:end]
        if item.get("text", found) not in (found, None):
            raise self._error(
                row,
                f"a span '{item['text']!s:.40}' whose place, {start} to {end}, reads '{found:.40}'; correct its start "
                "and end (characters from 0, the end after the last one)",
            )
        return Span(start, end, type_, found)

    def _error(self, row: Row, what: str) -> DataError:
        return DataError(f"Column '{self.column}' of '{self.source}' holds {what} ({row.where}).")
