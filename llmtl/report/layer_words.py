"""What tuning changed in the layers of a model, in words.

Not covered: measuring it (`llmtl.heads.layer_changes`).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from llmtl.findings import LayerChanges

KEPT, CHANGED = 0.9, 0.5
"""Mean likeness from which layers are called kept, and below which they are called changed; between, changed in part. A
reading aid: likeness has no threshold of its own."""
_PARTS = ("the first third", "the middle third", "the last third")
HOW = (
    "Likeness: linear CKA of a layer's mean states of the same dev texts before and after tuning, 1 where at most a "
    "rotation and a scale changed. LogME: how well the labels of those texts are told apart, higher is better. Both "
    "describe; what tuning is worth is said by the scores on test."
)


def sentences(layers: Mapping[str, LayerChanges]) -> tuple[str, ...]:
    """Say of every model which of its layers tuning kept and changed."""
    return tuple(f"{name}: {said(changes)}" for name, changes in layers.items())


def said(changes: LayerChanges) -> str:
    """Say which thirds of the layers were kept and which changed."""
    alike = [each.cka for each in changes.layers[1:]]
    named = _PARTS if len(alike) >= len(_PARTS) else [f"layer {at}" for at in range(1, len(alike) + 1)]
    parts = zip(named, _split(alike, len(named)), strict=True)
    told = [f"{name} {_word(mean)} ({mean:.2f})" for name, mean in parts]
    return f"of its layers, {_listed(told)}: likeness on {changes.texts} dev texts, 1 for unchanged."


def _split(values: Sequence[float], parts: int) -> list[float]:
    """Average consecutive parts of as equal a size as can be, the first ones larger."""
    size, more = divmod(len(values), parts)
    ends = [0]
    for at in range(parts):
        ends.append(ends[-1] + size + (at < more))
    return [sum(values[low:high]) / (high - low) for low, high in pairwise(ends)]


def _word(mean: float) -> str:
    return "was kept" if mean >= KEPT else "changed" if mean < CHANGED else "changed in part"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
