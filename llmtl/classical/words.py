"""Words of a text with their places, and BIO tags for them: what the extraction baselines share.

A span that begins or ends inside a word is taken to the word's edges. Not covered: sub-words, words of languages
written without spaces, overlapping spans, of which the first gets the tags.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.answers import Span

_WORD = re.compile(r"\d+|[^\W\d_]+|[^\w\s]|_")
"""Runs of digits, runs of letters, single marks: `6pm` is two words, `18:00` three."""

OUTSIDE = "O"


@dataclass(frozen=True)
class Word:
    """A word at characters `start` to `end` (exclusive)."""

    text: str
    start: int
    end: int


def words_of(text: str) -> tuple[Word, ...]:
    """List the words of a text, in order."""
    return tuple(Word(match.group(), match.start(), match.end()) for match in _WORD.finditer(text))


def covered(words: Sequence[Word], span: Span) -> tuple[int, int] | None:
    """Find the first word of a span and the one behind its last; None for a span without words."""
    inside = [place for place, word in enumerate(words) if word.start < span.end and span.start < word.end]
    return (inside[0], inside[-1] + 1) if inside else None


def to_tags(words: Sequence[Word], spans: Sequence[Span]) -> list[str]:
    """Give each word a BIO tag (Ramshaw & Marcus 1995, "Text Chunking using Transformation-Based Learning")."""
    tags = [OUTSIDE] * len(words)
    for span in sorted(spans):
        places = covered(words, span)
        if places is not None and all(tag == OUTSIDE for tag in tags[slice(*places)]):
            first, last = places
            tags[first:last] = [f"B-{span.type}"] + [f"I-{span.type}"] * (last - first - 1)
    return tags


def to_spans(text: str, words: Sequence[Word], tags: Sequence[str]) -> list[Span]:
    """Read the spans that BIO tags mark in `text`; an `I-` that continues nothing starts a span."""
    spans: list[Span] = []
    before = OUTSIDE
    for word, tag in zip(words, tags, strict=True):
        kind = tag[2:]
        if tag.startswith("I-") and before[2:] == kind:
            start = spans[-1].start
            spans[-1] = Span(start, word.end, kind, text[start : word.end])
        elif tag != OUTSIDE:
            spans.append(Span(word.start, word.end, kind, text[word.start : word.end]))
        before = tag
    return spans
