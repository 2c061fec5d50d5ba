"""Pairs of training texts with one label, in the order in which batches of them are compared.

Each label gives as many pairs as any other, in turns, so that the pairs of a batch have different labels where there
are enough of them: whatever else is in the batch is what a text is told apart from. Not covered: inputs with several
labels, pairs mined while training.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice


@dataclass(frozen=True)
class Pair:
    """Two texts with one label, by their positions."""

    first: int
    second: int


def label_pairs(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    count: int,
    seed: int,
    near: Mapping[str, Sequence[str]] | None = None,
) -> list[Pair]:
    """Draw `count` pairs; the texts of a label take turns, so that each begins one before any begins two.

    A label with one text, however often it stands there, pairs it with itself: read twice with other parts of the
    network left out, it is a pair, too (Gao, Yao & Chen 2021, "SimCSE"). With `near`, a label's turn is followed by
    those of the labels that it names. No pairs are drawn where no label has two different texts, or there is one label.
    """
    draw = random.Random(seed)
    members: dict[str, list[int]] = {}
    for at, label in enumerate(labels):
        members.setdefault(label, []).append(at)
    if len(members) < 2 or len(lone_labels(texts, labels)) == len(members):
        return []
    for each in members.values():
        draw.shuffle(each)
    turns = {label: cycle(each) for label, each in members.items()}
    pairs = []
    for label in islice(_in_turn(sorted(members), draw, near or {}), count):
        first = next(turns[label])
        others = [at for at in members[label] if texts[at] != texts[first]]
        pairs.append(Pair(first, draw.choice(others) if others else first))
    return pairs


def lone_labels(texts: Sequence[str], labels: Sequence[str]) -> list[str]:
    """List the labels that have no two different texts."""
    seen: dict[str, set[str]] = {}
    for text, label in zip(texts, labels, strict=True):
        seen.setdefault(label, set()).add(text)
    return sorted(label for label, each in seen.items() if len(each) < 2)


def _in_turn(labels: Sequence[str], draw: random.Random, near: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the labels again and again, each time in another order, and behind each what is near it."""
    while True:
        for label in draw.sample(labels, len(labels)):
            yield label
            yield from near.get(label, ())
