"""Where the spans that a model names stand in the input: it writes a type and a text, a span needs offsets.

Not covered: which of several equal words was meant; the first that is free is taken, whole words first.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from llmtl.answers import Span


@dataclass(frozen=True)
class Named:
    """A span as a model writes it."""

    type: str
    text: str


def place(named: Iterable[Named], text: str, shown: str) -> tuple[tuple[Span, ...], int]:
    """Find the spans' offsets in `text`, and count those that were dropped because they are not in it.

    `shown` is `text` as the prompt has it: only white space and broken control texts may differ. Spans are looked for
    from left to right, each behind the one before; one that is not there is looked for in what comes before.
    """
    found: list[Span] = []
    dropped = 0
    cursor = 0
    for each in named:
        start = _start(each, shown, found, cursor)
        if start is None:
            dropped += 1
            continue
        cursor = start + len(each.text)
        found.append(Span(start, cursor, each.type, each.text))
    return tuple(_in_original(span, text, shown) for span in found), dropped


def _start(named: Named, shown: str, found: list[Span], cursor: int) -> int | None:
    """Return where the best place for a named span starts: free, behind the cursor, a whole word, leftmost."""
    if not named.text.strip():
        return None
    known = {(span.type, span.start, span.end) for span in found}
    width = len(named.text)
    starts = [
        match.start()
        for match in re.finditer(f"(?={re.escape(named.text)})", shown)
        if (named.type, match.start(), match.start() + width) not in known
    ]
    return min(
        starts,
        key=lambda start: (
            any(span.start < start + width and start < span.end for span in found),
            start < cursor,
            _inside_a_word(shown, start) or _inside_a_word(shown, start + width),
            start,
        ),
        default=None,
    )


def _inside_a_word(text: str, at: int) -> bool:
    """Return whether `at` stands between two letters or digits."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def _in_original(span: Span, text: str, shown: str) -> Span:
    """Return a span of `shown` as one of `text`, whose characters other than white space are the same in number."""
    if text == shown:
        return span
    places = [index for index, character in enumerate(text) if not character.isspace()]
    before = sum(not character.isspace() for character in shown[: span.start])
    inside = sum(not character.isspace() for character in span.text)
    start, end = places[before], places[min(before + inside, len(places)) - 1] + 1
    return Span(start, end, span.type, text[start:end])
