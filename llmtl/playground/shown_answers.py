"""Answers of every kind of task as a page shows them: a label, several labels, spans marked in their text, a text, or
the texts that were found.

Not covered: the HTML (`shown.jinja`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from llmtl.answers import Span, read_ranking
from llmtl.errors import InputError
from llmtl.kinds.kind import AnswerShape, Kind
from llmtl.values import RANKED


@dataclass(frozen=True)
class Piece:
    """A piece of a text, and the types of the spans that cover it."""

    text: str
    types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One answer: `text` for a label or a text, `chips` for labels and named spans, `pieces` for a text with spans.

    `hits` are the found texts, best first, each with its id; `more` counts those that are not shown.
    """

    shape: AnswerShape
    text: str = ""
    chips: tuple[str, ...] = ()
    pieces: tuple[Piece, ...] = ()
    hits: tuple[tuple[str, str], ...] = ()
    more: int = 0


def shown(
    kind: Kind,
    answer: str,
    text: str | None = None,
    *,
    corpus: Mapping[str, str] = MappingProxyType({}),
    most: int = RANKED,
) -> Shown:
    """Lay out a canonical answer to be shown; spans are marked in the input `text` where it is given.

    Of a ranking the first `most` texts of the `corpus` are shown, ids where it lacks them.
    """
    if kind.searches:
        return _ranking(kind, answer, corpus, most)
    if kind.lists:
        try:
            spans = kind.spans(answer)
            pieces = () if text is None or spans is None else marked(text, spans)
            return Shown(kind.shape, chips=kind.chips(answer), pieces=pieces)
        except InputError:
            return Shown(AnswerShape.TEXT, text=answer)  # a word for a failed prediction, say
    return Shown(kind.shape, text=answer)


def _ranking(kind: Kind, answer: str, corpus: Mapping[str, str], most: int) -> Shown:
    try:
        ids = read_ranking(answer)
    except InputError:
        return Shown(AnswerShape.TEXT, text=answer)
    hits = tuple((id_, corpus.get(id_, id_)) for id_ in ids[:most])
    return Shown(kind.shape, hits=hits, more=len(ids) - len(hits))


def marked(text: str, spans: Sequence[Span]) -> tuple[Piece, ...]:
    """Cut the text into pieces that no span begins or ends inside of."""
    inside = [place for span in spans for place in (span.start, span.end) if 0 < place < len(text)]
    edges = sorted({0, len(text), *inside})
    return tuple(
        Piece(text[start:end], tuple(span.type for span in spans if span.start <= start and end <= span.end))
        for start, end in pairwise(edges)
    )


def labels_text(labels: Sequence[str]) -> str:
    """Write labels as canonical text, in the order in which they were served."""
    return json.dumps(list(labels), ensure_ascii=False)
