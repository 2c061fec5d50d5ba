"""From a named source to clean examples with string labels.

Not covered: the split (`llmtl.data.splitting`), judging what was loaded (`llmtl.checks`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmtl.data.cleaning import Cleaning, deduplicate, without_leaks
from llmtl.data.config import DataConfig
from llmtl.data.files import is_local, read_file
from llmtl.data.hub import read_hub
from llmtl.data.table import Row, Table, did_you_mean, quoted
from llmtl.errors import DataError
from llmtl.task import Example

MOST_INCOMPLETE = 0.05
"""Up to this share of rows may lack text or label and be dropped; more points at a wrong column or a broken export."""
TEST_ID_PREFIX = "test-"


@dataclass(frozen=True)
class LoadedData:
    """Clean examples: those to split, those of a separate test set if one was given, the labels, and what was dropped.

    `labels` are the given ones in their order, else those found, sorted. Ids of the separate test set start with
    "test-".
    """

    examples: tuple[Example, ...]
    test: tuple[Example, ...] | None
    labels: tuple[str, ...]
    cleaning: Cleaning


def load_examples(config: DataConfig, labels: Sequence[str] | None = None) -> LoadedData:
    """Return the clean examples of the configured source; with `labels`, every example's label must be one of them.

    Raises `MissingFileError`, and `DataError` for a missing column, an empty source, fewer than two classes, more than
    5% incomplete rows, a label that is not listed, and whatever cannot be read; all exit with code 2.
    """
    examples, cleaning = _clean(_table(config.path, config), config, labels)
    _require_two_classes(examples, config)
    test = None
    found = tuple(labels) if labels is not None else tuple(sorted({example.reference for example in examples}))
    if config.test_path is not None:
        test, dropped = _clean(_table(config.test_path, config), config, found)
        test = tuple(replace(example, id=TEST_ID_PREFIX + example.id) for example in test)
        examples, leaked = without_leaks(examples, test, threshold=config.near_duplicate_threshold)
        _require_two_classes(examples, config)
        cleaning = cleaning + _of_test(dropped) + Cleaning(rows=0, leaked=leaked)
    return LoadedData(examples, test, found, cleaning)


def _table(name: str, config: DataConfig) -> Table:
    return read_file(name) if is_local(name) else read_hub(name, config.hub_subset)


def _clean(table: Table, config: DataConfig, labels: Sequence[str] | None) -> tuple[tuple[Example, ...], Cleaning]:
    table.require(config.text, config.label, *([config.id] if config.id else []))
    examples, incomplete = _examples(table, config)
    if labels is not None:
        _require_listed(examples, labels, table.source)
    _require_unique_ids(examples, table.source)
    left = deduplicate([example for _, example in examples])
    return left.examples, Cleaning(len(table.rows), incomplete, left.duplicates, left.conflicts)


def _of_test(cleaning: Cleaning) -> Cleaning:
    """Return the record with ids and places marked as those of the separate test set."""
    return replace(
        cleaning,
        incomplete=tuple(f"test {where}" for where in cleaning.incomplete),
        duplicates=tuple(TEST_ID_PREFIX + id_ for id_ in cleaning.duplicates),
        conflicts=tuple(TEST_ID_PREFIX + id_ for id_ in cleaning.conflicts),
    )


def _examples(table: Table, config: DataConfig) -> tuple[list[tuple[Row, Example]], tuple[str, ...]]:
    """Return the complete rows as examples, and the places of the incomplete ones."""
    examples, incomplete = [], []
    for number, row in enumerate(table.rows, start=1):
        text = _text(row, config.text, table.source)
        label = _label(row, config.label, table.source)
        if text is None or label is None:
            incomplete.append(row.where)
            continue
        id_ = _label(row, config.id, table.source) if config.id else str(number)
        if id_ is None:
            raise DataError(
                f"The id in {row.where} of '{table.source}' is empty; fill column '{config.id}' or drop it."
            )
        examples.append((row, Example(id=id_, text=text, reference=label)))
    if len(incomplete) > MOST_INCOMPLETE * len(table.rows):
        raise DataError(
            f"{len(incomplete)} of {len(table.rows)} rows of '{table.source}' have no text in column '{config.text}' "
            f"or no label in '{config.label}' (first: {', '.join(incomplete[:3])}); fill or remove them, or name other "
            "columns."
        )
    return examples, tuple(incomplete)


def _text(row: Row, column: str, source: str) -> str | None:
    value = row.values.get(column)
    if _missing(value) or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise DataError(
            f"Column '{column}' of '{source}' holds {value!r:.40} in {row.where}, which is no text; name the column "
            "with the text."
        )
    return _encodable(value, row, source)


def _label(row: Row, column: str, source: str) -> str | None:
    """Return the label as a string: `true`, `3` (also for 3.0) or the text without outer space; None if missing."""
    value = row.values.get(column)
    if _missing(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str | int | float):
        raise DataError(
            f"Column '{column}' of '{source}' holds {value!r:.40} in {row.where}; write one string or number a row."
        )
    return _encodable(str(value).strip(), row, source) or None


def _missing(value: object) -> bool:
    """Return whether there is no value; pandas writes a missing value of any type as a not-a-number."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _encodable(value: str, row: Row, source: str) -> str:
    """Return the value; JSON can smuggle in half of a surrogate pair, which no tokenizer takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        where = row.where[0].upper() + row.where[1:]
        raise DataError(f"{where} of '{source}' holds half of a surrogate pair; write whole characters.") from None
    return value


def _require_listed(examples: Sequence[tuple[Row, Example]], labels: Sequence[str], source: str) -> None:
    unknown = [(row, example.reference) for row, example in examples if example.reference not in set(labels)]
    if not unknown:
        return
    row, label = unknown[0]
    names = list(dict.fromkeys(label for _, label in unknown))
    others = f" ({len(unknown)} rows with labels {quoted(names, 5)})" if len(unknown) > 1 else ""
    raise DataError(
        f"The label '{label}' in {row.where} of '{source}' is not one of the task's{did_you_mean(label, labels)}"
        f"{others}; correct the rows or add the label: {quoted(list(labels), 10)}."
    )


def _require_unique_ids(examples: Sequence[tuple[Row, Example]], source: str) -> None:
    first: dict[str, Row] = {}
    for row, example in examples:
        if example.id in first:
            raise DataError(
                f"The id '{example.id}' of '{source}' stands in {first[example.id].where} and in {row.where}; make ids "
                "unique or leave the id column out."
            )
        first[example.id] = row


def _require_two_classes(examples: Sequence[Example], config: DataConfig) -> None:
    classes = sorted({example.reference for example in examples})
    if len(classes) < 2:
        held = f"only the label '{classes[0]}'" if classes else "no usable example"
        raise DataError(
            f"'{config.path}' holds {held} in column '{config.label}'; give examples of at least two labels, or name "
            "another column."
        )
