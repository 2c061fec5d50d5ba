"""Labels too rare to be both learned and tested: dropped or merged before the split, so that the others go on.

The split stops for those that are left (`llmtl.data.splitting`): all of them where the recipe says `stop`, and most of
the labels being rare, which is a sign of another kind of task. Not covered: labels that are merely few, which `checks`
warns of.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from llmtl.data.cleaning import RareLabels
from llmtl.data.config import DataConfig, Rare
from llmtl.data.examples import LoadedData
from llmtl.kinds.kind import Kind
from llmtl.values import Example

OTHER = "other"
"""What rare labels become when they are merged."""


def fewest_per_label(loaded: LoadedData) -> int:
    """Say how many examples a label needs: one to train on, and one to test on unless test is given."""
    return 2 if loaded.test is None else 1


def rare_labels(examples: Sequence[Example], kind: Kind, *, least: int) -> tuple[list[str], bool]:
    """List the labels with fewer examples, sorted, and tell whether they look like no labels at all.

    They do where most labels of a task with one label per example are rare.
    """
    counts = Counter(label for example in examples for label in kind.named(example.reference))
    short = sorted(label for label, count in counts.items() if count < least)
    return short, kind.one_label and len(short) > len(counts) / 2


def without_rare_labels(loaded: LoadedData, config: DataConfig) -> LoadedData:
    """Drop or merge labels that are too rare, as the recipe says; `loaded` itself where the split has to stop."""
    least = fewest_per_label(loaded)
    short, no_labels = rare_labels(loaded.examples, loaded.kind, least=least)
    if not short or no_labels or config.rare_labels is Rare.STOP:
        return loaded
    if config.rare_labels is Rare.MERGE:
        other = next((label for label in loaded.labels if label.casefold() == OTHER), OTHER)
        merged = _renamed(loaded, dict.fromkeys(short, other), least=least, into=other)
        if not rare_labels(merged.examples, loaded.kind, least=least)[0]:
            return merged  # otherwise a single rare example is left, and merging it with nothing helps nobody
    left = _renamed(loaded, dict.fromkeys(short), least=least)
    enough = len({label for each in left.examples for label in left.kind.named(each.reference)})
    return left if left.examples and enough >= left.kind.fewest_labels else loaded


def _renamed(loaded: LoadedData, names: Mapping[str, str | None], *, least: int, into: str | None = None) -> LoadedData:
    """Give labels their new names, or take out those without one; rows that are left without any label go.

    They stay where other rows have none either: there, no label is an answer.
    """
    kind = loaded.kind
    labels = [label for label in loaded.labels if label not in names]
    labels += [] if into is None or into in labels else [into]
    unlabelled = any(not kind.named(example.reference) for example in loaded.examples)
    kept, touched, gone = list[Example](), list[str](), list[str]()
    for example in loaded.examples:
        named = kind.named(example.reference)
        if not any(label in names for label in named):
            kept.append(example)
            continue
        touched.append(example.id)
        reference = kind.renamed(example.reference, names, labels)
        if reference is None or not (unlabelled or kind.named(reference)):
            gone.append(example.id)
        else:
            kept.append(replace(example, reference=reference))
    rare = RareLabels(tuple(names), least, rows=tuple(touched), dropped=tuple(gone), into=into)
    return replace(loaded, examples=tuple(kept), labels=tuple(labels), cleaning=replace(loaded.cleaning, rare=rare))
