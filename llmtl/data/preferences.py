"""Preferences: inputs with a better and a worse answer each, from a file that `data.preferences` names.

Columns `chosen` and `rejected`, and the input in `prompt` (as preference data sets on the Hub call it) or `input`, each
a text or a list of messages (TRL's conversational form). What stands in dev or test, or nearly, is left out, so that
nobody is scored on what it learned from. Not covered: conversations of several turns; groups (`data.group`), which
preferences do not name; learning from them (`llmtl.tuning.pair_training`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmtl.data.cells import text_of
from llmtl.data.cleaning import Cleaning, Preferred
from llmtl.data.config import DataConfig
from llmtl.data.file_formats import read_file
from llmtl.data.near_duplicates import canonical, neighbours_in
from llmtl.data.table import Row, Table, quoted
from llmtl.errors import DataError
from llmtl.values import Preference, Split

INPUTS = ("input", "prompt")
CHOSEN, REJECTED = "chosen", "rejected"


def with_preferences(split: Split, config: DataConfig, cleaning: Cleaning) -> tuple[Split, Cleaning]:
    """Give the split the preferences that the section names; the record says what became of them.

    Raises `MissingFileError`, and `DataError` for a missing column, a row without one of the three texts, and a file
    that has no usable pair.
    """
    if config.preferences is None:
        return split, cleaning
    table = read_file(config.preferences)
    given = _pairs(table)
    different = [each for each in given if each.chosen.strip() != each.rejected.strip()]
    distinct = list(dict.fromkeys(different))
    sides = {(canonical(each.input), each.chosen, each.rejected) for each in distinct}
    clear = [each for each in distinct if (canonical(each.input), each.rejected, each.chosen) not in sides]
    texts, threshold = [each.input for each in clear], config.near_duplicate_threshold
    test, dev = (neighbours_in(texts, [each.key for each in part], threshold) for part in (split.test, split.dev))
    kept = tuple(
        each for each, in_test, in_dev in zip(clear, test, dev, strict=True) if in_test is None and in_dev is None
    )
    preferred = Preferred(
        rows=len(given),
        used=len(kept),
        same=len(given) - len(different),
        repeated=len(different) - len(distinct),
        contradictory=len(distinct) - len(clear),
        in_test=sum(place is not None for place in test),
        in_dev=sum(place is not None and other is None for place, other in zip(dev, test, strict=True)),
    )
    if not kept:
        raise DataError(
            f"'{table.source}' has no pair to learn from: {preferred.told} Give inputs of which one answer is better "
            "and that dev and test do not have, or leave data.preferences out."
        )
    return replace(split, preferences=kept), replace(cleaning, preferred=preferred)


def _pairs(table: Table) -> list[Preference]:
    """Read every row; raises `DataError` for one that lacks a text, or has more than one turn."""
    column = _input_column(table)
    table.require(column, CHOSEN, REJECTED)
    columns = {column: "user", CHOSEN: "assistant", REJECTED: "assistant"}
    found = []
    for row in table.rows:
        text, chosen, rejected = (_said(row, name, table.source, last=last) for name, last in columns.items())
        found.append(Preference(text, chosen, rejected))
    return found


def _said(row: Row, column: str, source: str, *, last: str) -> str:
    """Read a text, or what the role `last` says in messages; raises `DataError` where that is missing or unclear."""
    messages = row.values.get(column)
    if isinstance(messages, list):
        row = replace(row, values={column: _only_message(messages, row, column, source, last=last)})
    text = text_of(row, column, source)
    if text is None:
        raise DataError(f"There is no '{column}' in {row.where} of '{source}'; fill it in, or drop the row.")
    return text


def _only_message(messages: Sequence[object], row: Row, column: str, source: str, *, last: str) -> object:
    """Take the last message, before which an answer may have the one that it answers."""
    named = [
        (each.get("role"), each.get("content")) if isinstance(each, Mapping) else (None, None) for each in messages
    ]
    roles = [role for role, _ in named]
    if roles not in ([last], ["user", last]) or roles == ["user", "user"]:
        raise DataError(
            f"Column '{column}' of '{source}' holds {len(messages)} messages in {row.where}; give a text, or the one "
            f"message of the {last} (one turn is learned from, and what a system says stands in the recipe)."
        )
    return named[-1][1]


def _input_column(table: Table) -> str:
    there: Sequence[str] = [name for name in INPUTS if name in table.columns]
    if len(there) == 1 or not table.rows:
        return there[0] if there else INPUTS[0]
    if there:
        raise DataError(
            f"'{table.source}' has the columns {quoted(there)}; name the input in one of them, drop the other."
        )
    raise DataError(
        f"'{table.source}' has no column {quoted(INPUTS[:1])} or {quoted(INPUTS[1:])}; name the input so. Its columns "
        f"are {quoted(table.columns)}."
    )
