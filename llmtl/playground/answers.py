"""Answers of every kind of task as a page shows them: a label, several labels, spans marked in their text, a text.

Not covered: the HTML (`shown.jinja`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llmtl.answers import Span, read_labels, read_spans
from llmtl.errors import InputError
from llmtl.task import TaskKind


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and the types of the spans that cover it."""

    text: str
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One answer: `text` for a label or a text, `chips` for labels and named spans, `pieces` for a text with spans."""

    kind: str
    text: str = ""
    chips: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()


def shown(kind: str, answer: str, text: str | None = None) -> Shown:
    """Return how a canonical answer is shown; spans are marked in the input `text` where it is given."""
    try:
        if kind == TaskKind.MULTI_LABEL:
            return Shown(kind, chips=read_labels(answer))
        if kind == TaskKind.EXTRACTION:
            spans = read_spans(answer)
            named = tuple(f"{span.type}: {span.text}" for span in spans)
            return Shown(kind, chips=named, pieces=() if text is None else marked(text, spans))
    except InputError:
        pass  # a word for a failed prediction, say: shown as it is
    return Shown("text" if kind != TaskKind.CLASSIFICATION else kind, text=answer)


def marked(text: str, spans: Sequence[Span]) -> tuple[Piece, ...]:
    """Return the text in pieces that no span begins or ends inside of."""
    inside = [place for span in spans for place in (span.start, span.end) if 0 < place < len(text)]
    edges = sorted({0, len(text), *inside})
    return tuple(
        Piece(text[start:end], tuple(span.type for span in spans if span.start <= start and end <= span.end))
        for start, end in pairwise(edges)
    )


def counted(kind: str, answer: str) -> tuple[str, ...]:
    """Return what of an answer is counted over a file: labels, or types of spans; of texts nothing."""
    if kind == TaskKind.MULTI_LABEL:
        return read_labels(answer)
    if kind == TaskKind.EXTRACTION:
        return tuple(span.type for span in read_spans(answer))
    return (answer,) if kind == TaskKind.CLASSIFICATION else ()


def labels_text(labels: Sequence[str]) -> str:
    """Return labels as canonical text, in the order in which they were served."""
    return json.dumps(list(labels), ensure_ascii=False)
