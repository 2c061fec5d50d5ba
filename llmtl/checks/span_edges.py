"""Whether spans stand where somebody would mark them, were counted in another way, or lie within each other.

Not covered: a span whose text differs from what stands at its place, which reading refuses.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

from llmtl.answers import Span
from llmtl.checks.finding import Finding, Level
from llmtl.numerals import plural, some_of
from llmtl.task import Example, Split, Task

MOST_INSIDE_WORDS = 0.05
"""Up to this share of spans may begin or end inside a word before it is told (our choice): some languages compound."""
CURED = 0.2
"""Another way of counting is named where it leaves at most this share of the odd spans odd (our choice)."""
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x9FFF),  # Han
    (0xAC00, 0xD7AF),  # Hangul, whose particles are written onto words
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
"""Scripts in which a word ends without a space: https://www.unicode.org/reports/tr29/#Word_Boundaries."""
Place = tuple[int, int]
Recount = Callable[[str, Span], Place | None]


def check_spans(split: Split, task: Task) -> list[Finding]:
    """Warn of spans with white space at an edge, which no answer can match, and of many that cut a word.

    Where another way of counting puts nearly all of them right, it is named. Overlapping spans are told as well. Other
    kinds have no spans.
    """
    found = [
        (example, span)
        for example in (*split.train, *split.dev, *split.test)
        for span in task.kind.spans(example.reference) or ()
    ]
    loose = [pair for pair in found if _loose(pair[0].text, (pair[1].start, pair[1].end))]
    cut = [pair for pair in found if _cuts(pair[0].text, (pair[1].start, pair[1].end))]
    overlapping = _overlapping((*split.train, *split.dev, *split.test), task)
    if not loose and len(cut) <= MOST_INSIDE_WORDS * len(found):
        return overlapping
    odd = [pair for pair in found if pair in loose or pair in cut]
    example, span = odd[0]
    what = (
        f"{some_of(len(odd), len(found), 'span', ('starts or ends', 'start or end'))} in white space or inside a word "
        f"(first: '{span.text:.30}' in example '{example.id}')"
    )
    cure = _cure(odd, len(found)) or "correct their start and end, or nothing that is found can equal them"
    ids = tuple(dict.fromkeys(pair[0].id for pair in odd))
    return [Finding("span-edges", Level.WARNING, f"{what}; {cure}.", ids), *overlapping]


def _overlapping(examples: Sequence[Example], task: Task) -> list[Finding]:
    """Warn of spans that share characters: strategies that tag words find one of them at most."""
    pairs = [
        (example, first, second)
        for example in examples
        for first, second in pairwise(sorted(task.kind.spans(example.reference) or ()))
        if second.start < first.end
    ]
    if not pairs:
        return []
    example, first, second = pairs[0]
    return [
        Finding(
            "span-overlap",
            Level.WARNING,
            f"{plural(len(pairs), 'span', ('overlaps', 'overlap'))} another (first: '{first.text:.30}' and "
            f"'{second.text:.30}' in example '{example.id}'); of two that do, strategies that tag words find one at "
            "most: keep the one that matters.",
            tuple(dict.fromkeys(pair[0].id for pair in pairs)),
        )
    ]


def _loose(text: str, place: Place) -> bool:
    piece = text[slice(*place)]
    return piece != piece.strip()


def _cuts(text: str, place: Place) -> bool:
    return any(_joined(text, position) for position in place)


def _joined(text: str, position: int) -> bool:
    """Tell whether the characters on both sides of a position belong to one word."""
    if not 0 < position < len(text):
        return False
    before, after = text[position - 1], text[position]
    if any(first <= ord(char) <= last for char in (before, after) for first, last in _WITHOUT_SPACES):
        return False
    return (before.isalpha() and after.isalpha()) or (before.isdigit() and after.isdigit())


def _cure(odd: Sequence[tuple[Example, Span]], spans: int) -> str:
    """Name the way of counting that puts the odd spans right, or nothing."""
    ways: tuple[tuple[str, Recount], ...] = (
        ("in UTF-16 units, in which an emoji counts twice", _in_units(lambda char: 2 if ord(char) > 0xFFFF else 1)),
        ("in UTF-8 bytes", _in_units(lambda char: len(char.encode()))),
        ("with the end at the last character instead of after it", lambda text, span: (span.start, span.end + 1)),
        ("from 1", lambda text, span: (span.start - 1, span.end - 1)),
    )
    if len(odd) < spans * MOST_INSIDE_WORDS:
        return ""
    left = {
        name: sum(_still_odd(example.text, recount(example.text, span)) for example, span in odd)
        for name, recount in ways
    }
    best = min(left, key=lambda name: left[name])
    if left[best] > CURED * len(odd):
        return ""
    return f"they seem to be counted {best}: count characters from 0, with the end after the last one"


def _still_odd(text: str, place: Place | None) -> bool:
    if place is None or not 0 <= place[0] < place[1] <= len(text):
        return True
    return _loose(text, place) or _cuts(text, place)


def _in_units(size: Callable[[str], int]) -> Recount:
    """Read places as counted in other units; None for one inside a character."""

    def recount(text: str, span: Span) -> Place | None:
        starts = {units: index for index, units in enumerate(accumulate(map(size, text), initial=0))}
        start, end = starts.get(span.start), starts.get(span.end)
        return None if start is None or end is None else (start, end)

    return recount
