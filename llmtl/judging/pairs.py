"""The outputs of two strategies as questions in both orders, and what the replies say together.

Judges lean to the output shown first (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena",
section 3.3), so every pair is shown in both orders, and one output wins only when it is preferred in both; anything
else that could be read is a tie (section 3.4). Identical outputs are a tie without a request, and an output beats a
failed prediction without one. Not covered: counting (`llmtl.judging.tally`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from llmtl.judging.asking import Preference


@dataclass(frozen=True)
class Contest:
    """A planned comparison and both strategies' outputs for each example (None: a failed prediction)."""

    a: str
    b: str
    outputs: tuple[tuple[str | None, str | None], ...]


class PairOutcome(StrEnum):
    """What came out for one example."""

    A = "a"  # the first strategy's output is better
    B = "b"
    TIE = "tie"
    FAILURE = "failure"  # a reply could not be read


@dataclass(frozen=True, order=True)
class Showing:
    """One question: two outputs for the example at a position, in the order in which they are shown."""

    position: int
    first: str
    second: str


@dataclass(frozen=True)
class Judged:
    """What came out for one example, and what the judge said in the two orders (None: unreadable, or not asked)."""

    outcome: PairOutcome
    asked: bool = False
    forward: Preference | None = None
    backward: Preference | None = None

    @property
    def readable(self) -> bool:
        """Say whether the judge was asked and both of its replies could be read."""
        return self.forward is not None and self.backward is not None

    @property
    def consistent(self) -> bool:
        """Say whether both orders gave the same verdict."""
        return self.forward is not None and self.forward == _swapped(self.backward)


def showings(pairs: Sequence[tuple[str | None, str | None]]) -> list[Showing]:
    """List the questions that pairs of outputs (None: a failed prediction) need, both orders of each."""
    return [
        showing
        for position, (a, b) in enumerate(pairs)
        if a is not None and b is not None and _settled(a, b) is None
        for showing in (Showing(position, a, b), Showing(position, b, a))
    ]


def outcomes(
    pairs: Sequence[tuple[str | None, str | None]], answers: Mapping[Showing, Preference | None]
) -> list[Judged]:
    """Tell what came out for each pair; `answers` has one entry for each of its `showings`."""
    return [_judged(position, a, b, answers=answers) for position, (a, b) in enumerate(pairs)]


def _judged(position: int, a: str | None, b: str | None, *, answers: Mapping[Showing, Preference | None]) -> Judged:
    settled = _settled(a, b)
    if settled is not None or a is None or b is None:
        return Judged(settled or PairOutcome.TIE)
    forward, backward = answers[Showing(position, a, b)], answers[Showing(position, b, a)]
    return Judged(_together(forward, backward), asked=True, forward=forward, backward=backward)


def _settled(a: str | None, b: str | None) -> PairOutcome | None:
    """Return the outcome that needs no judge, or None where one is needed."""
    if (a is None) != (b is None):
        return PairOutcome.B if a is None else PairOutcome.A
    if a is None or b is None or a.strip() == b.strip():
        return PairOutcome.TIE
    return None


def _together(forward: Preference | None, backward: Preference | None) -> PairOutcome:
    """Return what the verdicts on both orders say together."""
    if forward is None or backward is None:
        return PairOutcome.FAILURE
    if forward != _swapped(backward) or forward == "tie":
        return PairOutcome.TIE
    return PairOutcome.A if forward == "A" else PairOutcome.B


def _swapped(answer: Preference | None) -> Preference | None:
    """Return an answer about the other order."""
    swapped: dict[Preference, Preference] = {"A": "B", "B": "A", "tie": "tie"}
    return None if answer is None else swapped[answer]
