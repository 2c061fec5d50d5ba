"""Dropping examples that would spoil the comparison: repeated, contradictory, or known from a given test set.

Not covered: near-duplicates within one file, which the split keeps on one side instead; wrong labels (`llmtl.checks`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.data.near_duplicates import canonical, neighbours_in
from llmtl.task import Example


@dataclass(frozen=True)
class Cleaning:
    """What reading dropped, out of `rows` rows, by example id; `llmtl.checks` turns it into findings.

    `incomplete`: rows without text or label, by place such as "line 7". `duplicates`: later copies of the same text
    with the same label. `conflicts`: texts that carry different labels. `leaked`: training examples that equal or
    nearly equal one of a separate test set.
    """

    rows: int
    incomplete: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()

    def __add__(self, other: "Cleaning") -> "Cleaning":
        """Return both together."""
        return Cleaning(
            self.rows + other.rows,
            self.incomplete + other.incomplete,
            self.duplicates + other.duplicates,
            self.conflicts + other.conflicts,
            self.leaked + other.leaked,
        )


@dataclass(frozen=True)
class Deduplicated:
    """The examples that are left, in order, and the ids of those dropped."""

    examples: tuple[Example, ...]
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]


def deduplicate(examples: Sequence[Example]) -> Deduplicated:
    """Return the examples with one copy of each text, and without texts that carry different labels.

    Texts are compared after `canonical`. All copies of a contradictory text go: the data do not say which label is
    right, so that in train it teaches nothing and in test it charges every strategy with the same toss of a coin.
    """
    groups: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[canonical(example.text)].append(example)
    kept, duplicates, conflicts = set[str](), set[str](), set[str]()
    for copies in groups.values():
        if len({copy.reference for copy in copies}) > 1:
            conflicts.update(copy.id for copy in copies)
        else:
            kept.add(copies[0].id)
            duplicates.update(copy.id for copy in copies[1:])
    return Deduplicated(
        examples=tuple(example for example in examples if example.id in kept),
        duplicates=tuple(example.id for example in examples if example.id in duplicates),
        conflicts=tuple(example.id for example in examples if example.id in conflicts),
    )


def without_leaks(
    examples: Sequence[Example], test: Sequence[Example], *, threshold: float
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Return the examples unlike every test example, and the ids of the others.

    The test set stays whole, so that scores on it compare with those published for it.
    """
    texts, test_texts = [example.text for example in examples], [example.text for example in test]
    near = neighbours_in(texts, test_texts, threshold)
    kept = tuple(example for example, match in zip(examples, near, strict=True) if match is None)
    leaked = tuple(example.id for example, match in zip(examples, near, strict=True) if match is not None)
    return kept, leaked
