"""Canonical answers of every kind of task as a line that a person reads.

Not covered: marking spans in their text, which the playground does (`llmtl.serving`).
"""

from llmtl.answers import read_labels, read_spans
from llmtl.report.confusion import FAILED
from llmtl.task import TaskKind


def in_words(answer: str | None, kind: TaskKind) -> str:
    """Return an answer in words: `refund`, `late, rude`, `date: Friday; people: 4`, `(no span)`, `(failed)`."""
    if answer is None:
        return FAILED
    if kind is TaskKind.MULTI_LABEL:
        return ", ".join(read_labels(answer)) or "(no label)"
    if kind is TaskKind.EXTRACTION:
        return "; ".join(f"{span.type}: {span.text}" for span in read_spans(answer)) or "(no span)"
    return answer
