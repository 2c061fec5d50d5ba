"""Runs of words and what they have in common: the entries of a dictionary, learned from train.

A run has a key at three levels: its words in lower case (`in 6 days`), with digits of any number (`in <digits> days`),
and with capitalised words of any spelling as well (`<Word> <digits> rd`). An entry is a key that is a span of its type
in train often enough. Not covered: context around a span, patterns written by hand.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llmtl.answers import Span
from llmtl.classical.words import Word, covered, words_of

LEVELS = ("words", "digits", "capitals")
"""From the exact to the general; of runs of one length the exact are looked up first."""
FEWEST_FORMS = 2
"""A general key needs this many different spans in train: of one alone nothing can be said to be in common."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class Entries:
    """The type that each key stands for, one mapping a level."""

    by_level: tuple[Mapping[Key, str], ...]

    def longest(self) -> int:
        """Count the words of the longest key, 0 without any."""
        return max((len(key) for level in self.by_level for key in level), default=0)

    def find(self, text: str) -> list[Span]:
        """Find the spans of a text: the longest runs first, of equal ones the exact, then from left to right.

        Spans do not overlap.
        """
        read = _Read(text, (), words_of(text))
        for length in range(min(self.longest(), len(read.words)), 0, -1):
            for level, entries in enumerate(self.by_level):
                read.claim(entries, length=length, level=level)
        return sorted(read.found)


@dataclass(frozen=True)
class _Read:
    """A text with the spans it has, its words, and those found so far, whose words are `taken`."""

    text: str
    spans: tuple[Span, ...]
    words: Sequence[Word]
    found: list[Span] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)

    def windows(self, length: int) -> Iterator[range]:
        """Yield each run of `length` words of which none is taken."""
        for first in range(len(self.words) - length + 1):
            window = range(first, first + length)
            if self.taken.isdisjoint(window):
                yield window

    def claim(self, entries: Mapping[Key, str], *, length: int, level: int) -> None:
        """Take the runs whose key is an entry, from left to right."""
        if not entries:
            return
        for window in self.windows(length):  # what is taken here is skipped by the windows that follow
            label = entries.get(key_of(self.words, window, level))
            if label is not None:
                self.found.append(self.span(window, label))
                self.taken.update(window)

    def types(self) -> dict[range, str]:
        """Return the type of each run that is a span."""
        windows = [(covered(self.words, span), span.type) for span in self.spans]
        return {range(*window): label for window, label in windows if window is not None}

    def span(self, window: range, label: str) -> Span:
        """Return the span over a run."""
        start, end = self.words[window[0]].start, self.words[window[-1]].end
        return Span(start, end, label, self.text[start:end])


def key_of(words: Sequence[Word], window: range, level: int) -> Key:
    """Write a run of words as it looks at a level."""
    return tuple(_seen(words[at].text, level) for at in window)


def _seen(word: str, level: int) -> str:
    if level >= 1 and word.isdigit():
        return "<digits>"
    if level >= 2 and word[0].isupper():
        return "<Word>"
    return word.lower()


def learn(examples: Sequence[tuple[str, Sequence[Span]]], *, precision: float) -> Entries:
    """Learn the entries of texts with their spans: keys that are spans of one type at least `precision` of the time.

    Each level is learned by itself: every span of train is known word by word, which would leave the general levels
    nothing to learn from.
    """
    return Entries(tuple(_learn_level(examples, level=level, precision=precision) for level in range(len(LEVELS))))


def _learn_level(examples: Sequence[tuple[str, Sequence[Span]]], *, level: int, precision: float) -> dict[Key, str]:
    """Return the entries of one level, counted as spans are found: the longest first, gone for shorter ones."""
    read = [_Read(text, tuple(spans), words_of(text)) for text, spans in examples]
    types = [each.types() for each in read]
    entries: dict[Key, str] = {}
    for length in sorted({len(window) for each in types for window in each} - {0}, reverse=True):
        found = _entries(read, types, length=length, level=level, precision=precision)
        for each in read:
            each.claim(found, length=length, level=level)
        entries.update(found)
    return entries


def _entries(
    read: Sequence[_Read], types: Sequence[Mapping[range, str]], *, length: int, level: int, precision: float
) -> dict[Key, str]:
    """Return the keys of one length and level that are precise enough, with their most frequent type."""
    spans: dict[Key, Counter[str]] = {}
    forms: dict[Key, set[Key]] = {}
    for each, typed in zip(read, types, strict=True):
        for window, label in typed.items():
            if len(window) == length and each.taken.isdisjoint(window):
                key = key_of(each.words, window, level)
                spans.setdefault(key, Counter())[label] += 1
                forms.setdefault(key, set()).add(key_of(each.words, window, 0))
    seen = Counter(key_of(each.words, window, level) for each in read for window in each.windows(length))
    fewest = FEWEST_FORMS if level else 1
    best = {key: counts.most_common(1)[0] for key, counts in spans.items() if len(forms[key]) >= fewest}
    return {key: label for key, (label, count) in best.items() if count >= precision * seen[key]}
