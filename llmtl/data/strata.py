"""What examples are balanced over: the labels that each one's reference names. Not covered: balancing (`splitting`)."""

from llmtl.answers import read_labels, read_spans
from llmtl.task import Example, TaskKind


def named(example: Example, kind: TaskKind) -> tuple[str, ...]:
    """Return the labels (extraction: types) of an example's reference, each once, sorted; none for generation."""
    if kind is TaskKind.CLASSIFICATION:
        return (example.reference,)
    if kind is TaskKind.MULTI_LABEL:
        return tuple(sorted(set(read_labels(example.reference))))
    if kind is TaskKind.EXTRACTION:
        return tuple(sorted({span.type for span in read_spans(example.reference)}))
    return ()


def strata(example: Example, kind: TaskKind) -> tuple[str, ...]:
    """Return what an example counts for in a split: its labels, or "" where it could have some and has none."""
    return named(example, kind) or (() if kind is TaskKind.GENERATION else ("",))
