"""Dropping examples that would spoil the comparison: repeated, contradictory, or known from a given test set.

Not covered: near-duplicates within one file, which the split keeps on one side instead; wrong labels (`llmtl.checks`).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from llmtl.data.near_duplicates import canonical, neighbours_in
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.values import Example


@dataclass(frozen=True)
class RareLabels:
    """Labels with fewer than `least` examples, the rows that named one, and those of them that were dropped for it.

    `into` is the label that they became, None where they were dropped.
    """

    labels: tuple[str, ...]
    least: int
    rows: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    into: str | None = None


@dataclass(frozen=True)
class Corrected:
    """What became of the `rows` corrections that people made of served answers.

    `superseded` have a later one of the same input; `added` are the ids of those that went into train, `replaced` those
    of the examples of train that have another reference for it, and `known` were in train already. Left out are those
    whose input stands in test or in dev, or nearly, and the `unlabelled`, whose label is too rare to be the task's.
    """

    rows: int
    superseded: int = 0
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    known: int = 0
    in_test: int = 0
    in_dev: int = 0
    unlabelled: int = 0

    @property
    def told(self) -> str:
        """Say in a line what became of them."""
        parts = (
            (len(self.added), "added to train"),
            (len(self.replaced), "changed an example of train"),
            (self.known, "known to train already"),
            (self.superseded, "replaced by a later one of the same input"),
            (self.in_test, "left out because they stand in test, or nearly"),
            (self.in_dev, "left out because they stand in dev, or nearly"),
            (self.unlabelled, "left out for a label that is too rare"),
        )
        became = ", ".join(f"{count:,} {what}" for count, what in parts if count)
        return f"{self.rows:,} correction{'' if self.rows == 1 else 's'}: {became}."


@dataclass(frozen=True)
class Preferred:
    """What became of the `rows` pairs of a better and a worse answer; `used` are left to learn from.

    Left out are pairs of the `same` text twice, `repeated` ones, those that are `contradictory` (the same two answers
    the other way round), and those whose input stands in test or in dev, or nearly.
    """

    rows: int
    used: int
    same: int = 0
    repeated: int = 0
    contradictory: int = 0
    in_test: int = 0
    in_dev: int = 0

    @property
    def told(self) -> str:
        """Say in a line what became of them."""
        parts = (
            (self.used, "to learn from"),
            (self.same, "left out because both answers are the same"),
            (self.repeated, "left out as copies of another"),
            (self.contradictory, "left out because they contradict each other"),
            (self.in_test, "left out because they stand in test, or nearly"),
            (self.in_dev, "left out because they stand in dev, or nearly"),
        )
        became = ", ".join(f"{count:,} {what}" for count, what in parts if count)
        return f"{self.rows:,} preference{'' if self.rows == 1 else 's'}: {became}."


@dataclass(frozen=True)
class Cleaning:
    """What reading dropped, out of `rows` rows, by example id; `llmtl.checks` turns it into findings.

    `incomplete`: rows without text or reference, by place such as "line 7". `duplicates`: later copies of the same text
    with the same reference. `conflicts`: texts that carry different references. `leaked`: training examples that equal
    or nearly equal one of a separate test set, or belong to the group of one. `merged`: rows whose reference became a
    further one of an earlier row with the same input; they are not lost. `rare`: labels that are no longer the task's.
    `unanswerable`: queries to which no text of the corpus is relevant. `repeated`: places of rows that name a label
    twice, which counts once. `corrected`, `preferred`: what became of the corrections and the preferences that
    the recipe names.
    """

    rows: int
    incomplete: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    rare: RareLabels | None = None
    unanswerable: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    corrected: Corrected | None = None
    preferred: Preferred | None = None

    def __add__(self, other: "Cleaning") -> "Cleaning":
        """Add up what both left out."""
        return Cleaning(
            self.rows + other.rows,
            self.incomplete + other.incomplete,
            self.duplicates + other.duplicates,
            self.conflicts + other.conflicts,
            self.leaked + other.leaked,
            self.merged + other.merged,
            self.rare or other.rare,
            self.unanswerable + other.unanswerable,
            self.repeated + other.repeated,
            self.corrected or other.corrected,
            self.preferred or other.preferred,
        )


@dataclass(frozen=True)
class Deduplicated:
    """The examples that are left, in order, and the ids of those dropped or merged into an earlier one."""

    examples: tuple[Example, ...]
    duplicates: tuple[str, ...]
    conflicts: tuple[str, ...]
    merged: tuple[str, ...] = ()


def deduplicate(examples: Sequence[Example], kind: Kind = CLASSIFICATION) -> Deduplicated:
    """Keep one copy of each text, and leave out texts that carry different references.

    Texts are compared after `canonical`. All copies of a contradictory text go: the data do not say which reference is
    right, so that in train it teaches nothing and in test it charges every strategy with the same toss of a coin.
    Where several references of an input are all right, the first copy keeps those of the others as alternatives.
    """
    groups: defaultdict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[canonical(example.key)].append(example)
    kept, gone = dict[str, Example](), {"duplicate": set[str](), "conflict": set[str](), "merged": set[str]()}
    for first, *others in groups.values():
        if kind.several_references:
            whole, merged = _merge(first, others)
            gone["merged"] |= merged
            gone["duplicate"] |= {copy.id for copy in others} - merged
        elif len({kind.meaning(copy.reference, canonical) for copy in (first, *others)}) > 1:
            gone["conflict"] |= {copy.id for copy in (first, *others)}
            continue
        else:
            whole = first
            gone["duplicate"] |= {copy.id for copy in others}
        kept[first.id] = whole
    duplicates, conflicts, merged_ids = (
        tuple(example.id for example in examples if example.id in ids) for ids in gone.values()
    )
    left = tuple(kept[example.id] for example in examples if example.id in kept)
    return Deduplicated(left, duplicates, conflicts, merged_ids)


def _merge(first: Example, others: Sequence[Example]) -> tuple[Example, set[str]]:
    """Return the first copy with all references of all copies, and the ids of those that added one."""
    known = [first.reference, *first.alternatives]
    merged = set()
    for copy in others:
        new = [text for text in (copy.reference, *copy.alternatives) if text not in known]
        known += new
        if new:
            merged.add(copy.id)
    return replace(first, alternatives=tuple(known[1:])), merged


def without_leaks(
    examples: Sequence[Example], test: Sequence[Example], *, threshold: float
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Keep the examples unlike every test example and of no test example's group; list the ids of the others.

    The test set stays whole, so that scores on it compare with those published for it.
    """
    texts, test_texts = [example.key for example in examples], [example.key for example in test]
    near = neighbours_in(texts, test_texts, threshold)
    groups = {example.group for example in test} - {None}
    leaks = [match is not None or example.group in groups for example, match in zip(examples, near, strict=True)]
    kept = tuple(example for example, leak in zip(examples, leaks, strict=True) if not leak)
    return kept, tuple(example.id for example, leak in zip(examples, leaks, strict=True) if leak)
