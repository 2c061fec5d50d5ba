"""Canonical answers as a line that a person reads.

Not covered: marking spans in their text, which the playground does (`llmtl.playground`).
"""

from llmtl.kinds.kind import Kind
from llmtl.report.confusion import FAILED


def in_words(answer: str | None, kind: Kind) -> str:
    """Return an answer in words: `refund`, `late, rude`, `date: Friday; people: 4`, `(no span)`, `(failed)`."""
    return FAILED if answer is None else kind.in_words(answer)
