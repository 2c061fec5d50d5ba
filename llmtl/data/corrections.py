"""Corrections: answers that people found wrong, each with the right one, kept for the next run.

One JSON line per correction: `input`, `answer` (what was served), `correct`, `strategy`, `variant` (the model that was
asked), `at`. Written one at a time by however many programs; read by `data.corrections` of a recipe. They go into train
alone: what stands in dev or test, or nearly, is left out, so that nobody is scored on what it learned from. Not
covered: corrections as test examples, since people correct what was wrong and not what is usual.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmtl.data.cells import text_of
from llmtl.data.cleaning import Cleaning, Corrected
from llmtl.data.config import DataConfig
from llmtl.data.file_formats import read_file
from llmtl.data.near_duplicates import canonical, neighbours_in
from llmtl.data.references import ReferenceColumn
from llmtl.data.splitting import in_seeded_order
from llmtl.data.table import did_you_mean, quoted
from llmtl.errors import DataError, InputError
from llmtl.kinds.kind import Kind
from llmtl.values import Example, Split

CORRECTIONS_FILE = "corrections.jsonl"
"""The name beside a run."""
INPUT, CORRECT = "input", "correct"
ID_PREFIX = "correction-"
MOST_BYTES = 64 * 2**20
"""A file of corrections grows no further: whoever reaches a page could fill a disk."""


@dataclass(frozen=True)
class Correction:
    """One answer and the right one, both as the kind of task writes them in JSON; `at` is the time."""

    input: str
    answer: Any
    correct: Any
    strategy: str
    variant: str
    at: str


def append_correction(path: Path, correction: Correction) -> None:
    """Add a line to the file and wait until it is on the disk; a line is written whole or not at all.

    Raises `InputError` where the file cannot be written, or is full.
    """
    try:
        line = json.dumps(asdict(correction), ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        raise InputError("The message holds half of a surrogate pair; write whole characters.") from None
    try:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # held until the file is closed
            _append(handle, line, path)
        finally:
            os.close(handle)
    except OSError as error:
        raise InputError(f"The correction is not kept: '{path.name}' cannot be written ({error.strerror}).") from None


def _append(handle: int, line: bytes, path: Path) -> None:
    size = os.fstat(handle).st_size
    if size + len(line) > MOST_BYTES:
        raise InputError(f"'{path.name}' is full ({MOST_BYTES // 2**20} MiB); run with it, and begin another.")
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line  # what somebody left unfinished must not spoil this one
    try:
        left = memoryview(line)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, size)
        raise
    if size == 0:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # else the name of a new file may be lost
        finally:
            os.close(folder)


@dataclass(frozen=True)
class _LatestCorrections:
    """The latest correction of each input, and how many there are and how many of them a later one replaced."""

    examples: tuple[Example, ...]
    rows: int
    superseded: int


def with_corrections(
    split: Split, config: DataConfig, cleaning: Cleaning, *, labels: Sequence[str], kind: Kind, seed: int = 0
) -> tuple[Split, Cleaning]:
    """Put the corrections that the section names into train; the record says what became of them.

    Where an input was corrected several times, the latest counts. A correction of an input of train replaces its
    reference; one that equals or nearly equals an input of dev or test is left out. Raises `MissingFileError`, and
    `DataError` for a line without input or right answer and for a label that the task does not have.
    """
    if config.corrections is None:
        return split, cleaning
    read = _load(config, labels, kind, dropped=cleaning.rare.labels if cleaning.rare else ())
    texts = [example.key for example in read.examples]
    threshold = config.near_duplicate_threshold
    test, dev = (neighbours_in(texts, [each.key for each in part], threshold) for part in (split.test, split.dev))
    free = [
        example
        for example, in_test, in_dev in zip(read.examples, test, dev, strict=True)
        if in_test is None and in_dev is None
    ]
    train, added, replaced = _taken(split.train, free)
    corrected = Corrected(
        rows=read.rows,
        superseded=read.superseded,
        added=added,
        replaced=replaced,
        known=len(free) - len(added) - len(replaced),
        in_test=sum(place is not None for place in test),
        in_dev=sum(place is not None and other is None for place, other in zip(dev, test, strict=True)),
        unlabelled=read.rows - read.superseded - len(read.examples),
    )
    return replace(split, train=in_seeded_order(train, seed)), replace(cleaning, corrected=corrected)


def _taken(train: Sequence[Example], free: Sequence[Example]) -> tuple[list[Example], tuple[str, ...], tuple[str, ...]]:
    """Return train with the corrections, the ids of those that were added, and of the examples that were changed."""
    by_text = {canonical(example.key): example for example in free}
    kept, replaced = list[Example](), list[str]()
    for example in train:
        right = by_text.pop(canonical(example.key), None)
        if right is None or right.reference in (example.reference, *example.alternatives):
            kept.append(example)
            continue
        kept.append(replace(example, reference=right.reference, alternatives=right.alternatives))
        replaced.append(example.id)
    added = list(by_text.values())
    return [*kept, *added], tuple(example.id for example in added), tuple(replaced)


def _load(config: DataConfig, labels: Sequence[str], kind: Kind, *, dropped: Sequence[str]) -> _LatestCorrections:
    """Read the file; corrections that name a label too rare to be the task's are left out."""
    assert config.corrections is not None
    table = read_file(config.corrections)
    table.require(INPUT, CORRECT)
    column = ReferenceColumn(CORRECT, table.source, kind, config.label_separator, labels)
    latest = dict[str, Example]()
    known = {*labels, *dropped}
    for number, row in enumerate(table.rows, start=1):
        text = text_of(row, INPUT, table.source)
        found = () if text is None else column.read(row, text)
        if text is None or not found:
            missing = INPUT if text is None else CORRECT
            raise DataError(f"There is no '{missing}' in {row.where} of '{table.source}'; fill it in, or drop the row.")
        for name in kind.named(found[0]) if labels else ():
            if name not in known:
                raise DataError(
                    f"The {kind.noun} '{name}' in {row.where} of '{table.source}' is not one of the task's"
                    f"{did_you_mean(name, labels)}: {quoted(list(labels), 10)}; correct the row, or label data with it."
                )
        key = canonical(text)
        latest.pop(key, None)  # the latest stands where it was made
        latest[key] = Example(f"{ID_PREFIX}{number}", text, found[0], alternatives=found[1:])
    usable = tuple(each for each in latest.values() if not set(kind.named(each.reference)) & set(dropped))
    return _LatestCorrections(usable, len(table.rows), len(table.rows) - len(latest))
