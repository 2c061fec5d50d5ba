"""What every source of data yields: columns and rows that know where they came from; and fingerprints of examples.

Not covered: what the columns mean (`examples.py`); ids in a fingerprint, since they depend on the order of rows.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmtl.errors import DataError
from llmtl.task import Example

LONGEST_SHOWN = 60
"""Characters of a name that a message shows: a column of texts taken for labels must not fill the screen."""


@dataclass(frozen=True)
class Row:
    """One record; `where` says where it stands in its source, such as "line 7"."""

    where: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """All records of one source; a column that a row lacks counts as missing."""

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, *columns: str) -> None:
        """Check that the columns exist; raises `DataError` that lists the columns there are, and for an empty table."""
        if not self.rows:
            raise DataError(f"'{self.source}' has no rows; give a file with labelled examples.")
        for column in columns:
            if column not in self.columns:
                raise DataError(
                    f"'{self.source}' has no column '{column}'{did_you_mean(column, self.columns)}; "
                    f"its columns are {quoted(self.columns)}.{separator_hint(self.columns)}"
                )


def separator_hint(columns: Sequence[str]) -> str:
    """Write a sentence, after a space, where the only column looks like several with another separator, or nothing."""
    if len(columns) != 1 or not any(separator in columns[0] for separator in ";\t|"):
        return ""
    return " The fields do not seem to be separated by commas: save the file with commas, or tabs as .tsv."


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Write ", did you mean 'x'?" without the final mark for the nearest valid name, or an empty string."""
    by_fold = {option.casefold(): option for option in valid}
    near = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return f" (did you mean '{by_fold[near[0]]}'?)" if near else ""


def quoted(names: Sequence[str], limit: int = 20) -> str:
    """List up to `limit` names in quotes, long ones cut, with the number of those left out."""
    shown = ", ".join(
        f"'{name if len(name) <= LONGEST_SHOWN else name[:LONGEST_SHOWN] + '...'}'" for name in names[:limit]
    )
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def fingerprint(examples: Iterable[Example]) -> str:
    """Compute the SHA-256 (64 hex digits) of inputs, references and groups, independent of order and ids."""
    lines = sorted(json.dumps(_content(example), ensure_ascii=True) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content(example: Example) -> list[Any]:
    content: list[Any] = [example.key, example.reference]
    if example.alternatives or example.group is not None:
        content += [list(example.alternatives), example.group]
    return content
