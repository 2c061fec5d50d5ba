"""How far an encoder reads into long texts in the time there is: the first windows of each, so that all are read.

How many windows a text has is told from its characters, by what a few texts have in tokens: to cut all of them into
tokens would take a part of the time that is to be saved. Not covered: reading them (`llmtl.encoders.window_vectors`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from llmtl.encoders.window_vectors import WindowVectors
from llmtl.encoders.windows import evenly

SAMPLED = 32
"""Texts whose tokens are counted, and whose first windows are timed."""
SAMPLED_CHARACTERS = 2_000
WARM_UP = 4
SPARE = 0.9
"""The part of the time that is planned: the sample may have been read faster than the rest will be."""


@dataclass(frozen=True)
class Lengths:
    """How many windows each text has, and how many tokens its windows have on average, the special ones included."""

    windows: tuple[int, ...]
    tokens: tuple[float, ...]

    @classmethod
    def of(cls, texts: Sequence[str], encoder: WindowVectors) -> "Lengths":
        """Tell them from characters."""
        sample = [text[:SAMPLED_CHARACTERS] for text in evenly(texts, SAMPLED)]
        extra, step = encoder.context_length - encoder.room, max(1, encoder.room - encoder.overlap)
        counted = sum(encoder.count_tokens(sample)) - extra * len(sample)
        per_character = max(1, counted) / max(1, sum(map(len, sample)))
        of_text = [per_character * len(text) for text in texts]
        windows = tuple(1 + max(0, math.ceil((each - encoder.room) / step)) for each in of_text)
        each_window = (
            encoder.context_length if many > 1 else extra + n for many, n in zip(windows, of_text, strict=True)
        )
        return cls(windows, tuple(each_window))

    def read(self, most: int | None = None) -> float:
        """Count the tokens that are read where at most so many windows of each text are."""
        return sum(self._least(many, most) * each for many, each in zip(self.windows, self.tokens, strict=True))

    @property
    def stretch(self) -> float:
        """Say how many times the time of their first windows reading whole texts takes."""
        return self.read() / max(1.0, self.read(1))

    def count(self, most: int | None = None) -> int:
        """Count the windows that are read then."""
        return sum(self._least(many, most) for many in self.windows)

    @staticmethod
    def _least(many: int, most: int | None) -> int:
        return many if most is None else min(many, most)


@dataclass(frozen=True)
class Reach:
    """How many windows of each text are read at most, None for all; of `planned` windows in all, `done`."""

    most: int | None
    done: int
    planned: int


def reach(encoder: WindowVectors, texts: Sequence[str], until: float | None) -> Reach:
    """Find how many windows can be read of each text until a moment of `perf_counter`; one at least."""
    lengths = Lengths.of(texts, encoder)
    planned, longest = lengths.count(), max(lengths.windows, default=1)
    if until is None or longest == 1:
        return Reach(None, planned, planned)
    each_token = seconds_of(encoder, texts) / max(1.0, Lengths.of(evenly(texts, SAMPLED), encoder).read(1))
    left = SPARE * (until - perf_counter())
    if each_token * lengths.read() <= left:
        return Reach(None, planned, planned)
    most, more = 1, longest  # the last number of windows that there is time for, and the first that there is none for
    while more - most > 1:
        middle = (most + more) // 2
        most, more = (middle, more) if each_token * lengths.read(middle) <= left else (most, middle)
    return Reach(most, lengths.count(most), planned)


def seconds_of(encoder: WindowVectors, texts: Sequence[str]) -> float:
    """Time reading the first windows of a few texts."""
    sample = evenly(texts, SAMPLED)
    encoder.encode(sample[:WARM_UP], most=1)
    start = perf_counter()
    encoder.encode(sample, most=1)
    return perf_counter() - start
