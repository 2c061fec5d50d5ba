"""Train, dev and sealed test: stratified by label, near-duplicates on one side, the same for any order of rows.

Examples are ordered by a seeded hash of their content instead of a random generator over row positions, so that
sorting or shuffling the file changes nothing. Not covered: splits by time or by user, cross-validation.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from llmtl.data.config import DataConfig
from llmtl.data.loading import LoadedData
from llmtl.data.near_duplicates import canonical, clusters
from llmtl.data.table import quoted
from llmtl.errors import DataError
from llmtl.task import Example, Split

TRAIN, DEV, TEST = 0, 1, 2
_TOTAL_WEIGHT = 0.05
"""How much the size of a part counts beside its label counts. It only decides where label counts leave a choice:
without it 77 labels with two examples each would all leave dev empty."""

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class _Cluster:
    """Examples that must stay together; `counts` has shape (C + 1,): examples a label, then all, weighted."""

    members: tuple[Example, ...]
    counts: Counts
    order: tuple[str, str, str]


def split_examples(loaded: LoadedData, config: DataConfig, *, seed: int = 0) -> Split:
    """Return the examples as train, dev and test; with a separate test set, which is kept whole, as train and dev.

    Every label has an example in train. Raises `DataError` when a label has fewer than two examples (one with a
    separate test), or when there are too few clusters of near-duplicates to fill every part.
    """
    examples, test = loaded.examples, loaded.test
    labels = sorted({example.reference for example in examples})
    _require_enough(examples, least=1 if test is not None else 2)
    groups = _clusters(examples, labels, config.near_duplicate_threshold, seed=seed)
    parts = _assign(groups, np.array(config.fractions))
    _give_train_every_label(groups, parts, len(labels))
    train, dev, held_out = (_members(groups, parts, part) for part in (TRAIN, DEV, TEST))
    split = Split(
        train=_ordered(train, seed), dev=_ordered(dev, seed), test=_ordered(held_out if test is None else test, seed)
    )
    if not (split.train and split.dev and split.test):
        raise DataError(
            f"{len(examples)} examples in {len(groups)} groups of near-duplicates are too few for train, dev and test; "
            "label more examples."
        )
    return split


def subsample(
    split: Split, *, train: int | None = None, dev: int | None = None, test: int | None = None, seed: int = 0
) -> Split:
    """Return the split with at most so many examples a part, labels in proportion, order kept; None keeps all.

    Train keeps one example of every label if there is room. A smaller sample of the same seed lies inside a larger one.
    """
    return Split(
        train=_sample(split.train, train, seed=seed, every_label=True),
        dev=_sample(split.dev, dev, seed=seed),
        test=_sample(split.test, test, seed=seed),
    )


def _sample(
    examples: tuple[Example, ...], count: int | None, *, seed: int, every_label: bool = False
) -> tuple[Example, ...]:
    """Return `count` examples: those that come first when each label's are spread evenly over the interval 0 to 1."""
    if count is None or count >= len(examples):
        return examples
    by_label: defaultdict[str, list[Example]] = defaultdict(list)
    for example in _ordered(examples, seed):
        by_label[example.reference].append(example)
    ranked = sorted(
        (0.0 if every_label and rank == 0 else (rank + 0.5) / len(same), _order(example, seed), example.id)
        for same in by_label.values()
        for rank, example in enumerate(same)
    )
    chosen = {id_ for *_, id_ in ranked[:count]}
    return tuple(example for example in examples if example.id in chosen)


def _require_enough(examples: Sequence[Example], *, least: int) -> None:
    counts = Counter(example.reference for example in examples)
    short = sorted(label for label, count in counts.items() if count < least)
    if short:
        raise DataError(
            f"Too few examples to split for {quoted(short, 5)}: at least {least} a label are needed after removing "
            "duplicates; add examples, or merge or remove the label."
        )


def _clusters(examples: Sequence[Example], labels: Sequence[str], threshold: float, *, seed: int) -> list[_Cluster]:
    """Return the clusters of near-duplicates, largest first, then in seeded order."""
    index = {label: number for number, label in enumerate(labels)}
    members: defaultdict[int, list[Example]] = defaultdict(list)
    for example, number in zip(examples, clusters([item.text for item in examples], threshold), strict=True):
        members[int(number)].append(example)
    groups = []
    for same in members.values():
        counts = np.zeros(len(labels) + 1)
        np.add.at(counts, [index[example.reference] for example in same], 1.0)
        counts[-1] = _TOTAL_WEIGHT**0.5 * len(same)
        groups.append(_Cluster(tuple(same), counts, min(_order(example, seed) for example in same)))
    return sorted(groups, key=lambda group: (-len(group.members), group.order))


def _assign(groups: Sequence[_Cluster], fractions: Counts) -> list[int]:
    """Return the part of each cluster: each goes where it brings the counts nearest to their targets (least squares).

    Adding v to a part that still lacks d lowers the squared distance by 2 v.d - v.v, so the largest v.d wins; of equals
    train, then test, because dev is the part a small data set can best spare.
    """
    lacking = np.outer(fractions, np.sum([group.counts for group in groups], axis=0))
    parts = []
    for group in groups:
        gains = lacking @ group.counts
        part = max((TRAIN, TEST, DEV), key=lambda part: round(float(gains[part]), 9) if fractions[part] else -np.inf)
        lacking[part] -= group.counts
        parts.append(part)
    return parts


def _give_train_every_label(groups: Sequence[_Cluster], parts: list[int], count: int) -> None:
    """Move to train the smallest cluster of each label that it lacks; changes `parts`."""
    held = np.stack([group.counts[:count] for group in groups]) > 0
    for label in range(count):
        holders = np.flatnonzero(held[:, label])
        if all(parts[position] != TRAIN for position in holders):
            parts[holders[-1]] = TRAIN


def _members(groups: Sequence[_Cluster], parts: Sequence[int], part: int) -> list[Example]:
    return [example for group, place in zip(groups, parts, strict=True) if place == part for example in group.members]


def _ordered(examples: Sequence[Example], seed: int) -> tuple[Example, ...]:
    return tuple(sorted(examples, key=lambda example: _order(example, seed)))


def _order(example: Example, seed: int) -> tuple[str, str, str]:
    """Return the example's place in the seeded order; equal texts fall back on the reference and the raw text."""
    content = f"{seed}\0{canonical(example.text)}\0{example.reference}"
    return hashlib.sha256(content.encode()).hexdigest(), example.text, example.id
