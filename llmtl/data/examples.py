"""From a named source to clean examples with canonical references.

Not covered: the split (`llmtl.data.splitting`), judging what was loaded (`llmtl.checks`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmtl.data.cells import name_of, text_of
from llmtl.data.cleaning import Cleaning, deduplicate, without_leaks
from llmtl.data.config import DataConfig
from llmtl.data.plausible import require_plausible
from llmtl.data.references import ReferenceColumn
from llmtl.data.sources import read_source
from llmtl.data.table import Row, Table, did_you_mean, quoted
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.lookalikes import plain_name
from llmtl.numerals import HAS, IS, some_of
from llmtl.values import Example

MOST_INCOMPLETE = 0.05
"""Up to this share of rows may lack text or reference and be dropped; more hints at a wrong column or broken export."""
TEST_ID_PREFIX = "test-"
_PARTS = frozenset(("train", "training", "dev", "val", "valid", "validation", "test", "testing"))
"""What a column that says which part a row is of may hold."""
Read = tuple[Row, Example]


@dataclass(frozen=True)
class LoadedData:
    """Clean examples: those to split, those of a separate test set if one was given, the labels, and what was dropped.

    `labels` are the given ones in their order, else those found, sorted. Ids of the separate test set start with
    "test-". `told` says in a line each what was read and how.
    """

    examples: tuple[Example, ...]
    test: tuple[Example, ...] | None
    labels: tuple[str, ...]
    cleaning: Cleaning
    kind: Kind = CLASSIFICATION
    told: tuple[str, ...] = ()


def _parts_unread(table: Table, config: DataConfig) -> list[str]:
    """Say of a column that marks test rows that it is not read: who wrote it expects its split to be kept."""
    used = (config.text, config.label, config.group)
    for column in (each for each in table.columns if each not in used):
        values = {str(row.values.get(column)).strip().casefold() for row in table.rows}
        if len(values) > 1 and values <= _PARTS and values & {"test", "testing"}:
            return [
                f"Warning: column '{column}' marks rows of test and is not read: rows are split anew. To keep its "
                "split, put the rows of test into a file of their own and name it as data.test_path."
            ]
    return []


def load_examples(
    config: DataConfig,
    labels: Sequence[str] | None = None,
    *,
    kind: Kind = CLASSIFICATION,
    given: Mapping[str, Table] | None = None,
) -> LoadedData:
    """Load the clean examples of the configured source; with `labels`, examples may name no others.

    `given` are tables in memory by the path that stands for them in `config`.

    Raises `MissingFileError`, and `DataError` for a missing column, an empty source, too few labels for the kind, more
    than 5% incomplete rows, a label that is not listed, and whatever cannot be read; all exit with code 2.
    """
    labels = None if labels is None else tuple(map(plain_name, labels))
    table = _table(config.path, config, given)
    told = [*([] if given else [table.told]), *([] if config.test_path else _parts_unread(table, config))]
    examples, cleaning = _clean(table, config, kind, labels)
    _require_labels(examples, kind, config, cleaning)
    test = None
    found = tuple(labels) if labels is not None else tuple(_names(examples, kind))
    if config.test_path is not None:
        tested = _table(config.test_path, config, given)
        told += [] if given else [tested.told]
        test, dropped = _clean(tested, config, kind, found)
        test = tuple(replace(example, id=TEST_ID_PREFIX + example.id) for example in test)
        examples, leaked = without_leaks(examples, test, threshold=config.near_duplicate_threshold)
        cleaning = cleaning + _of_test(dropped) + Cleaning(rows=0, leaked=leaked)
        _require_labels(examples, kind, config, cleaning)
    return LoadedData(examples, test, found, cleaning, kind, tuple(told))


def _table(name: str, config: DataConfig, given: Mapping[str, Table] | None) -> Table:
    return given[name] if given and name in given else read_source(name, config)


def _clean(
    table: Table, config: DataConfig, kind: Kind, labels: Sequence[str] | None
) -> tuple[tuple[Example, ...], Cleaning]:
    table.require(config.text, config.label, *filter(None, (config.id, config.group)))
    column = ReferenceColumn(config.label, table.source, kind, config.label_separator, labels or ())
    examples, incomplete = _examples(table, column, config)
    if labels is not None:
        _require_listed(examples, labels, kind, table.source)
    _require_unique_ids(examples, table.source)
    require_plausible([example for _, example in examples], kind, config)
    left = deduplicate([example for _, example in examples], kind)
    return left.examples, Cleaning(
        len(table.rows),
        incomplete,
        left.duplicates,
        left.conflicts,
        merged=left.merged,
        repeated=tuple(column.repeated),
    )


def _of_test(cleaning: Cleaning) -> Cleaning:
    """Return the record with ids and places marked as those of the separate test set."""
    return replace(
        cleaning,
        incomplete=tuple(f"test {where}" for where in cleaning.incomplete),
        duplicates=tuple(TEST_ID_PREFIX + id_ for id_ in cleaning.duplicates),
        conflicts=tuple(TEST_ID_PREFIX + id_ for id_ in cleaning.conflicts),
        merged=tuple(TEST_ID_PREFIX + id_ for id_ in cleaning.merged),
        repeated=tuple(f"test {where}" for where in cleaning.repeated),
    )


def _examples(table: Table, column: ReferenceColumn, config: DataConfig) -> tuple[list[Read], tuple[str, ...]]:
    """Return the complete rows as examples, and the places of the incomplete ones."""
    examples, incomplete = [], []
    for number, row in enumerate(table.rows, start=1):
        text = text_of(row, config.text, table.source)
        found = () if text is None else column.read(row, text)
        if text is None or not found:
            incomplete.append(row.where)
            continue
        id_ = name_of(row, config.id, table.source) if config.id else str(number)
        if id_ is None:
            raise DataError(
                f"The id in {row.where} of '{table.source}' is empty; fill column '{config.id}' or drop it."
            )
        group = name_of(row, config.group, table.source) if config.group else None
        examples.append((row, Example(id_, text, found[0], alternatives=found[1:], group=group)))
    if len(incomplete) > MOST_INCOMPLETE * len(table.rows):
        rows, has = some_of(len(incomplete), len(table.rows), "row"), HAS[len(incomplete) != 1]
        raise DataError(
            f"{rows} of '{table.source}' {has} no text in column '{config.text}' or no {column.kind.reference_noun} "
            f"in '{config.label}' (first: {', '.join(incomplete[:3])}); fill or remove them, or name other columns."
            f"{_none_hint(column.kind)}{_sheet_hint(table)}"
        )
    return examples, tuple(incomplete)


def _none_hint(kind: Kind) -> str:
    return f" Where a text has no {kind.reference_noun}, write []." if kind.lists else ""


def _sheet_hint(table: Table) -> str:
    """Say why cells that a person sees filled are empty."""
    if not table.from_sheet:
        return ""
    return " All but the first of merged cells are empty, and so are formulas until Excel has saved their values."


def _require_listed(examples: Sequence[Read], labels: Sequence[str], kind: Kind, source: str) -> None:
    known = set(labels)
    unknown = [(row, name) for row, example in examples for name in kind.named(example.reference) if name not in known]
    if not unknown:
        return
    row, label = unknown[0]
    names = list(dict.fromkeys(label for _, label in unknown))
    others = f" ({len(unknown)} rows with labels {quoted(names, 5)})" if len(unknown) > 1 else ""
    what = kind.noun
    raise DataError(
        f"The {what} '{label}' in {row.where} of '{source}' is not one of the task's{did_you_mean(label, labels)}"
        f"{others}; correct the rows or add the {what}: {quoted(list(labels), 10)}."
    )


def _require_unique_ids(examples: Sequence[Read], source: str) -> None:
    first: dict[str, Row] = {}
    for row, example in examples:
        if example.id in first:
            raise DataError(
                f"The id '{example.id}' of '{source}' stands in {first[example.id].where} and in {row.where}; make ids "
                "unique or leave the id column out."
            )
        first[example.id] = row


def _require_labels(examples: Sequence[Example], kind: Kind, config: DataConfig, cleaning: Cleaning) -> None:
    names = _names(examples, kind)
    least, what = kind.fewest_labels, kind.noun
    if examples and len(names) >= least:
        return
    held = "no usable example" if not examples else f"only the {what} '{names[0]}'" if names else f"no {what}"
    needed = {0: "examples", 1: f"examples of at least one {what}", 2: f"examples of at least two {what}s"}[least]
    raise DataError(
        f"'{config.path}' holds {held} in column '{config.label}'{_lost(cleaning)}; give {needed}, or name another "
        "column."
    )


def _lost(cleaning: Cleaning) -> str:
    """Return in brackets, after a space, why complete rows were left out; nothing where none was."""
    reasons = [
        (cleaning.conflicts, ("gives", "give"), "the same text different references"),
        (cleaning.leaked, IS, "in test too"),
    ]
    said = [f"{some_of(len(rows), cleaning.rows, 'row', verb)} {reason}" for rows, verb, reason in reasons if rows]
    return f" ({', '.join(said)})" if said else ""


def _names(examples: Sequence[Example], kind: Kind) -> list[str]:
    return sorted({name for example in examples for name in kind.named(example.reference)})
