"""Train, dev and sealed test: stratified by label, near-duplicates and groups on one side, whatever the order of rows.

Examples are ordered by a seeded hash of their content instead of a random generator over row positions, so that
sorting or shuffling the file changes nothing. Examples of several labels count for each
of them: the least-squares form of iterative stratification (Sechidis et al. 2011, "On the Stratification of Multi-label
Data"). Queries count for what they search, a class or a text, where several search the same. Generated texts have no
labels to balance. Not covered: splits by time, cross-validation.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from llmtl.answers import read_ranking
from llmtl.data.config import DataConfig, Rare
from llmtl.data.examples import LoadedData
from llmtl.data.near_duplicates import canonical, clusters
from llmtl.data.rare_labels import fewest_per_label, rare_labels
from llmtl.data.table import quoted
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.numerals import IS, plural
from llmtl.values import Example, Split

TRAIN, DEV, TEST = 0, 1, 2
PARTS = 3
_TOTAL_WEIGHT = 0.05
"""How much the size of a part counts beside its label counts. It only decides where label counts leave a choice:
without it 77 labels with two examples each would all leave dev empty."""

Counts = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class _Cluster:
    """Examples that must stay together; `counts` has shape (C + 1,): examples per label, then all, weighted."""

    members: tuple[Example, ...]
    counts: Counts
    order: tuple[str, str, str]


def split_examples(loaded: LoadedData, config: DataConfig, *, seed: int = 0) -> Split:
    """Split the examples into train, dev and test; with a separate test set, which is kept whole, into train and dev.

    Every label has an example in train. Raises `DataError` when a label has fewer than two examples (one with a
    separate test), or when there are too few clusters of near-duplicates to fill every part.
    """
    examples, test = loaded.examples, loaded.test
    _require_enough(loaded, config)
    strata = _strata(loaded)
    groups = _clusters(loaded, strata, config.near_duplicate_threshold, seed=seed)
    parts = _assign(groups, np.array(config.fractions))
    _give_train_every_label(groups, parts, len(groups[0].counts) - 1 if groups else 0)
    train, dev, held_out = (_members(groups, parts, part) for part in (TRAIN, DEV, TEST))
    split = Split(
        train=in_seeded_order(train, seed),
        dev=in_seeded_order(dev, seed),
        test=in_seeded_order(held_out if test is None else test, seed),
    )
    if not (split.train and split.dev and split.test):
        kept_together = "near-duplicates, or of one data.group" if config.group else "near-duplicates"
        raise DataError(
            f"{plural(len(examples), 'example')} in {plural(len(groups), 'group')} of {kept_together} "
            f"{IS[len(examples) != 1]} too few for train, dev and test; label more "
            f"{'groups' if config.group else 'examples'}, or raise data.near_duplicate_threshold if they are alike "
            "only in form."
        )
    return split


def subsample(
    split: Split,
    *,
    train: int | None = None,
    dev: int | None = None,
    test: int | None = None,
    seed: int = 0,
    kind: Kind = CLASSIFICATION,
) -> Split:
    """Keep at most so many examples per part, labels in proportion and in order; None keeps all.

    Train keeps an example of every label if there is room. A smaller sample of the same seed lies inside a larger one.
    """
    return replace(
        split,
        train=_sample(split.train, train, kind, seed=seed, every_label=True),
        dev=_sample(split.dev, dev, kind, seed=seed),
        test=_sample(split.test, test, kind, seed=seed),
    )


def _sample(
    examples: tuple[Example, ...], count: int | None, kind: Kind, *, seed: int, every_label: bool = False
) -> tuple[Example, ...]:
    """Return `count` examples: those that come first when each stratum's are spread evenly over the interval 0 to 1.

    The stratum of an example is the rarest of its labels.
    """
    if count is None or count >= len(examples):
        return examples
    totals = Counter(label for example in examples for label in kind.strata(example.reference))
    by_stratum: defaultdict[str, list[Example]] = defaultdict(list)
    for example in in_seeded_order(examples, seed):
        by_stratum[min(kind.strata(example.reference), key=lambda label: (totals[label], label), default="")].append(
            example
        )
    first = _first_of_labels(examples, kind, seed=seed) if every_label else set()
    ranked = sorted(
        (0.0 if example.id in first else (rank + 0.5) / len(same), _order(example, seed), example.id)
        for same in by_stratum.values()
        for rank, example in enumerate(same)
    )
    chosen = {id_ for *_, id_ in ranked[:count]}
    return tuple(example for example in examples if example.id in chosen)


def _first_of_labels(examples: tuple[Example, ...], kind: Kind, *, seed: int) -> set[str]:
    """Return ids of examples that together name every label: in seeded order, those with a label not named before."""
    seen, first = set[str](), set[str]()
    for example in in_seeded_order(examples, seed):
        new = set(kind.named(example.reference)) - seen
        seen |= new
        if new:
            first.add(example.id)
    return first


def _require_enough(loaded: LoadedData, config: DataConfig) -> None:
    least = fewest_per_label(loaded)
    short, no_labels = rare_labels(loaded.examples, loaded.kind, least=least)
    if not short:
        return
    if no_labels:
        cure = (
            f"Most in column '{config.label}' have fewer: add examples, name the column of the labels, or for lists or "
            "texts set task.kind to multi-label, extraction or generation."
        )
    elif config.rare_labels is Rare.STOP:
        cure = "Add examples, or set data.rare_labels to drop or merge."
    else:  # what the recipe says would leave no task
        cure = "Add examples: without such labels too few are left to tell apart."
    raise DataError(
        f"Too few examples to split for {quoted(short, 5)}: at least {least} per label are needed after removing "
        f"duplicates. {cure}"
    )


def _strata(loaded: LoadedData) -> dict[str, tuple[str, ...]]:
    """Say by id what each example counts for: its labels or, of a query, what queries for every part search, too."""
    if not loaded.kind.searches:
        return {each.id: loaded.kind.strata(each.reference) for each in loaded.examples}
    named = {
        each.id: tuple(sorted({key for said in (each.reference, *each.alternatives) for key in read_ranking(said)}))
        for each in loaded.examples
    }
    shared = Counter(key for keys in named.values() for key in keys)
    return {id_: tuple(key for key in keys if shared[key] >= PARTS) for id_, keys in named.items()}


def _clusters(
    loaded: LoadedData, strata: Mapping[str, Sequence[str]], threshold: float, *, seed: int
) -> list[_Cluster]:
    """Return the clusters of near-duplicates and groups, largest first, then in seeded order."""
    labels = sorted({label for each in strata.values() for label in each})
    index = {label: number for number, label in enumerate(labels)}
    members: defaultdict[int, list[Example]] = defaultdict(list)
    alike = clusters([example.key for example in loaded.examples], threshold)
    for example, number in zip(loaded.examples, _with_groups(alike, loaded.examples), strict=True):
        members[int(number)].append(example)
    groups = []
    for same in members.values():
        counts = np.zeros(len(labels) + 1)
        np.add.at(counts, [index[label] for example in same for label in strata[example.id]], 1.0)
        counts[-1] = _TOTAL_WEIGHT**0.5 * len(same)
        groups.append(_Cluster(tuple(same), counts, min(_order(example, seed) for example in same)))
    return sorted(groups, key=lambda group: (-len(group.members), group.order))


def _with_groups(numbers: Integers, examples: Sequence[Example]) -> Integers:
    """Return the cluster of each example, shape (N,), after joining those that share a group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first: dict[str, int] = {}
    links = [
        (int(number), first.setdefault(example.group, int(number)))
        for number, example in zip(numbers, examples, strict=True)
        if example.group is not None
    ]
    if not links:
        return numbers
    size = int(numbers.max()) + 1
    rows, columns = np.array(links).T
    joined = connected_components(coo_array((np.ones(len(links)), (rows, columns)), shape=(size, size)), directed=False)
    return np.asarray(joined[1][numbers], dtype=np.int64)


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


def in_seeded_order(examples: Sequence[Example], seed: int) -> tuple[Example, ...]:
    """Order examples by what they hold and the seed, whatever order they come in."""
    return tuple(sorted(examples, key=lambda example: _order(example, seed)))


def _order(example: Example, seed: int) -> tuple[str, str, str]:
    """Return the example's place in the seeded order; equal texts fall back on the reference and the raw text."""
    content = f"{seed}\0{canonical(example.key)}\0{example.reference}"
    return hashlib.sha256(content.encode()).hexdigest(), example.key, example.id
