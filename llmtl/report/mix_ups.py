"""What the winner takes for what, in sentences: the most frequent mistakes first.

Not covered: all pairs of labels (`confusion`), how sure the counts are (`by_label`).
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from llmtl.answers import Span
from llmtl.decision.label_care import found_by_label
from llmtl.kinds.kind import Kind
from llmtl.measured.evaluation import Evaluation
from llmtl.report.wording import plural

MOST_SENTENCES = 8
LEAST = 2
"""A mistake that was made once is not a pattern; where none was made twice, these are told."""


class Slip(StrEnum):
    """In what way an answer is wrong."""

    TAKEN_FOR = "taken for"
    FAILED = "failed"
    MISSED = "missed"
    WRONGLY_GIVEN = "wrongly given"
    BORDERS = "borders"
    TYPE = "type"


@dataclass(frozen=True)
class MixUp:
    """A mistake made `count` times, of `of` chances: `label` and, where another was given, `given`."""

    slip: Slip
    label: str
    count: int
    of: int
    given: str = ""

    @property
    def sentence(self) -> str:
        """Say it, as in `'repairs' is taken for 'billing' 9 of 12 times`."""
        times = f"{self.count} of {plural(self.of, 'time')}"
        match self.slip:
            case Slip.TAKEN_FOR:
                return f"'{self.label}' is taken for '{self.given}' {times}."
            case Slip.FAILED:
                return f"'{self.label}' gets no valid answer {times}."
            case Slip.MISSED:
                return f"'{self.label}' is missed {times}."
            case Slip.WRONGLY_GIVEN:
                return f"'{self.label}' is given {plural(self.of, 'time')}, {self.count} of them wrongly."
            case Slip.BORDERS:
                return f"Type '{self.label}' is found with wrong borders {times}."
            case Slip.TYPE:
                return f"Type '{self.label}' is taken for '{self.given}' {times}."


def mix_ups(winner: Evaluation) -> tuple[MixUp, ...]:
    """Count what went wrong on test, the most frequent first; nothing for texts and rankings."""
    if not winner.kind.has_labels:
        return ()
    counted = {each.label: each for each in found_by_label(winner)}
    slips: Counter[tuple[Slip, str, str]] = Counter()
    look = _look(winner)
    for reference, answer in zip(winner.references, winner.answers, strict=True):
        slips.update(look(reference, answer))
    found = [
        MixUp(slip, label, count, _chances(slip, counted[label].given, counted[label].expected), given)
        for (slip, label, given), count in slips.items()
    ]
    found.sort(key=lambda each: (-each.count, each.of, each.label, each.given))
    return tuple([each for each in found if each.count >= LEAST][:MOST_SENTENCES] or found[:MOST_SENTENCES])


def _chances(slip: Slip, given: int, expected: int) -> int:
    return given if slip is Slip.WRONGLY_GIVEN else expected


Look = Callable[[str, str | None], list[tuple[Slip, str, str]]]


def _look(winner: Evaluation) -> Look:
    """Choose how answers of the winner's kind are compared with references."""
    kind = winner.kind
    if kind.one_label:
        return _one_label
    if kind.spans(winner.references[0]) is None:
        return lambda reference, answer: _sets(_named(kind, reference), _named(kind, answer))
    return lambda reference, answer: _spans(_read(kind, reference), _read(kind, answer))


def _named(kind: Kind, answer: str | None) -> set[str]:
    return set() if answer is None else set(kind.named(answer))


def _read(kind: Kind, answer: str | None) -> tuple[Span, ...]:
    return () if answer is None else kind.spans(answer) or ()


def _one_label(reference: str, answer: str | None) -> list[tuple[Slip, str, str]]:
    if answer is None:
        return [(Slip.FAILED, reference, "")]
    return [] if answer == reference else [(Slip.TAKEN_FOR, reference, answer)]


def _sets(wanted: set[str], found: set[str]) -> list[tuple[Slip, str, str]]:
    missed = [(Slip.MISSED, label, "") for label in wanted - found]
    return missed + [(Slip.WRONGLY_GIVEN, label, "") for label in found - wanted]


def _spans(wanted: tuple[Span, ...], found: tuple[Span, ...]) -> list[tuple[Slip, str, str]]:
    """Pair what is not exactly right: overlapping and of the right type, else overlapping; the rest was missed."""
    left, slips = [span for span in found if span not in wanted], []
    for span in wanted:
        if span in found:
            continue
        over = [other for other in left if other.start < span.end and span.start < other.end]
        alike = next((other for other in over if other.type == span.type), None)
        other = alike or next(iter(over), None)
        if other is None:
            slips.append((Slip.MISSED, span.type, ""))
            continue
        left.remove(other)
        slips.append((Slip.BORDERS, span.type, "") if alike else (Slip.TYPE, span.type, other.type))
    return slips + [(Slip.WRONGLY_GIVEN, span.type, "") for span in left]
