"""Read which answer a hosted model gave, and how likely each one was, from its text and the likeliest tokens.

Not covered: the probability of answers that the server does not list among the likeliest tokens.
"""

import math
from collections.abc import Mapping, Sequence

from llmtl.engines.openai.replies import Step

_AROUND = " \t\r\n\"'`*."
"""Marks that models put around an answer; they are ignored, as is the case of letters."""


def stated(text: str, answers: Sequence[str]) -> int | None:
    """Find the index of the answer that `text` states; None if it states something else."""
    exact = next((index for index, answer in enumerate(answers) if answer.strip() == text.strip()), None)
    if exact is not None:
        return exact
    said = _plain(text)
    return next((index for index, answer in enumerate(answers) if _plain(answer) == said), None)


def probabilities(steps: Sequence[Step], answers: Sequence[str]) -> tuple[float, ...] | None:
    """Compute the probability of each of A answers, summing to 1; None if no listed token begins any of them.

    As in `LabelScores`, each is a product of next-token probabilities, renormalised over the tokens that go on with an
    answer. A server lists alternatives only along the written answer: answers that leave it by the same token share
    that token's probability evenly, and one that leaves it by a token not listed gets 0.
    """
    found = [0.0] * len(answers)
    alive = {index: answer.strip() for index, answer in enumerate(answers)}
    mass = 1.0
    for position, step in enumerate(steps):
        listed = {token: math.exp(logprob) for token, logprob in step.likeliest.items()}
        listed.setdefault(step.written, 0.0)
        going = _going_on(listed, alive, first=position == 0)
        total = sum(listed[token] for token in going)
        if total <= 0:
            break
        for token, rests in going.items():
            if token != step.written:
                _share(found, rests, mass * listed[token] / total)
        if step.written not in going:
            return _normalised(found)
        mass *= listed[step.written] / total
        alive = going[step.written]
        if len(alive) == 1:
            break
    if len(alive) == len(answers) and mass == 1.0:
        return None
    ended = {index: rest for index, rest in alive.items() if not rest}
    _share(found, ended or alive, mass)
    return _normalised(found)


def _going_on(listed: Mapping[str, float], alive: Mapping[int, str], *, first: bool) -> dict[str, dict[int, str]]:
    """Find the tokens that go on with an answer, each with what remains of the answers after it.

    A token that goes on with none of the longer answers ends one that is complete ("card", where "card lost" is another
    answer): the end of the turn, a full stop, a new line.
    """
    going: dict[str, dict[int, str]] = {}
    ended = {index: "" for index, rest in alive.items() if not rest}
    for token in listed:
        piece = token.lstrip() if first else token
        rests = {
            index: rest[len(piece) :] for index, rest in alive.items() if piece and rest and rest.startswith(piece)
        }
        if rests or ended:
            going[token] = rests or ended
    return going


def _share(found: list[float], rests: Mapping[int, str], mass: float) -> None:
    """Add `mass` evenly to the answers in `rests`."""
    for index in rests:
        found[index] += mass / len(rests)


def _normalised(found: Sequence[float]) -> tuple[float, ...]:
    """Scale numbers so that they sum to 1."""
    total = sum(found)
    return tuple(value / total for value in found)


def _plain(text: str) -> str:
    """Strip a text of the marks around it, and bring it to one case and single spaces."""
    return " ".join(text.strip(_AROUND).casefold().split())
