"""What every source of data yields: columns and rows that know where they came from; and fingerprints of examples.

Not covered: what the columns mean (`examples.py`); ids in a fingerprint, since they depend on the order of rows.
"""

import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.errors import DataError
from llmtl.task import Example

LONGEST_SHOWN = 60
"""Characters of a name that a message shows: a column of texts taken for labels must not fill the screen."""
SPREADSHEET = "Excel"
"""How a table from a spreadsheet was read."""


@dataclass(frozen=True)
class Row:
    """One record; `where` says where it stands in its source, such as "line 7"."""

    where: str
    values: Mapping[str, object]


@dataclass(frozen=True)
class Table:
    """All records of one source; a column that a row lacks counts as missing.

    `detected` says how it was read, such as "cp1252". `repeated` are names that several columns have: all but the first
    are numbered.
    """

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    detected: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def from_sheet(self) -> bool:
        """Tell whether a spreadsheet held it."""
        return SPREADSHEET in self.detected

    @property
    def told(self) -> str:
        """Say in a line what was read and how: `Read tickets.csv: 320 rows, cp1252, separated by ';'`."""
        rows = f"{len(self.rows):,} row{'' if len(self.rows) == 1 else 's'}"
        return f"Read {Path(self.source).name}: {', '.join((rows, *self.detected))}"

    def require(self, *columns: str) -> None:
        """Check that the columns exist, each once; raises `DataError` that lists what there is, and for no rows."""
        if not self.rows:
            raise DataError(f"'{self.source}' has no rows; give a file with labelled examples.")
        for column in columns:
            if column not in self.columns:
                raise DataError(
                    f"'{self.source}' has no column '{column}'{did_you_mean(column, self.columns)}; "
                    f"its columns are {quoted(self.columns)}."
                )
            if column in self.repeated:
                raise DataError(f"'{self.source}' has column '{column}' more than once; rename one of them.")


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Write ", did you mean 'x'?" without the final mark for the nearest valid name, or an empty string."""
    by_fold = {option.casefold(): option for option in valid}
    near = difflib.get_close_matches(name.casefold(), by_fold, n=1)
    return f" (did you mean '{by_fold[near[0]]}'?)" if near else ""


def quoted(names: Sequence[str], limit: int = 20) -> str:
    """List up to `limit` names in quotes, long ones cut, line ends escaped, with the number of those left out."""
    lines = (name.replace("\r", "\\r").replace("\n", "\\n") for name in names[:limit])
    shown = ", ".join(f"'{name if len(name) <= LONGEST_SHOWN else name[:LONGEST_SHOWN] + '...'}'" for name in lines)
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
