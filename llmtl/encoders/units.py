"""Align words of a text with tokens: the units that get a tag, and where to read each in overlapping windows.

A word is tagged at its first token (Devlin et al. 2019, "BERT", section 5.3). Words that begin within one token, as
byte-level tokens may hold several, are one unit; a word that the tokenizer drops belongs to none. Not covered: what a
word is (the caller says).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.encoders.windows import Window, Windows

Places = Sequence[tuple[int, int]]
"""The characters of each word, from start to end (exclusive), in order."""


@dataclass(frozen=True)
class TaggedUnit:
    """Characters `start` to `end` of a text, tagged at the token `token` of the window `window`."""

    start: int
    end: int
    window: int
    token: int


def units_of(words: Places, windows: Windows) -> list[TaggedUnit]:
    """List the units of a text in order, each read in the window that shows most on its scarcer side.

    That is the rule of "maximum context" of BERT's code for questions (google-research/bert, `run_squad.py`).
    """
    found: dict[tuple[int, int], tuple[int, TaggedUnit]] = {}
    for number, window in enumerate(windows):
        for unit in units_in(words, window, number=number):
            room = min(unit.token, len(window) - 1 - unit.token)
            before = found.get((unit.start, unit.end))
            if before is None or room > before[0]:
                found[unit.start, unit.end] = room, unit
    units = sorted((unit for _, unit in found.values()), key=lambda unit: (unit.start, -unit.end))
    kept: list[TaggedUnit] = []
    for unit in units:  # at a window's edge a unit may be cut: the whole one, which begins no later, is kept
        if not kept or unit.start >= kept[-1].end:
            kept.append(unit)
    return kept


def units_in(words: Places, window: Window, *, number: int = 0) -> list[TaggedUnit]:
    """List the units that have their first token in one window."""
    units: list[TaggedUnit] = []
    token = 0
    shown = [(start, end) for start, end in window.places]
    for start, end in words:
        while token < len(shown) and (shown[token][1] <= start or shown[token][0] == shown[token][1]):
            token += 1
        if token == len(shown):
            break
        if shown[token][0] >= end:
            continue
        if units and units[-1].token == token:
            units[-1] = TaggedUnit(units[-1].start, end, number, token)
        else:
            units.append(TaggedUnit(start, end, number, token))
    return units
