"""Demonstrations that show every label equally often and never in blocks, and dev samples with the same mix of labels.

Models lean to labels that are frequent in the prompt or stand at its end (Zhao et al. 2021, "Calibrate Before Use"), so
labels take turns. With several labels, or spans of several types, the set of them takes the place of the label; texts
are drawn at random, each being its own. Not covered: demonstrations chosen for an input (`retrieval`).
"""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.kind import Kind
from llmtl.task import Example


def interleaved(
    examples: Sequence[Example], labels: Sequence[str], *, count: int, seed: int, kind: Kind = CLASSIFICATION
) -> tuple[Example, ...]:
    """Draw up to `count` examples in rounds: each round has one of every label that has any left, in a new order.

    A label never follows itself while another one has examples left. With fewer examples wanted than there are labels,
    a seeded draw decides which labels are shown. Of one seed, fewer demonstrations are the first of more.
    """
    draw = random.Random(seed)
    waiting: dict[str, list[Example]] = {label: [] for label in labels}
    for example in examples:
        waiting.setdefault(kind.stratum(example.reference), []).append(example)
    for queue in waiting.values():
        draw.shuffle(queue)
    chosen: list[Example] = []
    while len(chosen) < count and any(waiting.values()):
        turn = [stratum for stratum, queue in waiting.items() if queue]
        draw.shuffle(turn)
        if chosen and turn[0] == kind.stratum(chosen[-1].reference):
            turn[0], turn[-1] = turn[-1], turn[0]
        chosen.extend(waiting[stratum].pop() for stratum in turn)
    return tuple(chosen[:count])


def stratified(
    examples: Sequence[Example], *, count: int, seed: int, kind: Kind = CLASSIFICATION
) -> tuple[Example, ...]:
    """Draw `count` examples (all, when there are no more), labels in proportion, in their original order.

    Each label's examples are shuffled and spread evenly over [0, 1); the `count` lowest are taken, which gives every
    label its share to within one example.
    """
    if len(examples) <= count:
        return tuple(examples)
    draw = random.Random(seed)
    positions = list(range(len(examples)))
    draw.shuffle(positions)
    sizes = Counter(kind.stratum(example.reference) for example in examples)
    seen: defaultdict[str, int] = defaultdict(int)
    places: list[tuple[float, int]] = []
    for position in positions:
        label = kind.stratum(examples[position].reference)
        places.append(((seen[label] + 0.5) / sizes[label], position))
        seen[label] += 1
    # equal places stay in shuffled order: of many equally large labels a draw decides which are shown
    places.sort(key=lambda place: place[0])
    return tuple(examples[position] for position in sorted(position for _, position in places[:count]))
