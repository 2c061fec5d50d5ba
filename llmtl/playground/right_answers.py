"""The right answer to what was answered wrong: how a person gives it, and how it is kept.

A label is chosen; spans are written one per line, `type: text`, the text as it stands in the message; a text is
written. Not covered: rankings, whose right answers only the owner of the corpus can name; the panel
(`correction_panel`); what a run makes of corrections (`llmtl.data.corrections`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.answers import Span, read_labels, write_labels, write_spans
from llmtl.data.corrections import Correction, append_correction
from llmtl.data.near_duplicates import canonical
from llmtl.errors import InputError
from llmtl.kinds.kind import AnswerShape, Kind
from llmtl.kinds.places import Named, place
from llmtl.playground.page_content import PlaygroundContent
from llmtl.store import now

LONGEST = 20_000
"""Characters of a right answer."""


@dataclass(frozen=True)
class WasAsked:
    """A message and the canonical answer of the served model; empty where there was none."""

    text: str
    answer: str


def can_be_corrected(kind: Kind) -> bool:
    """Say whether a person can give the right answer of this kind."""
    return not kind.searches


def to_edit(kind: Kind, answer: str) -> str | list[str] | None:
    """Write an answer as a person changes it; a wrong label is not proposed again."""
    if kind.one_label:
        return None
    try:
        if kind.shape is AnswerShape.LABELS:
            return list(read_labels(answer))
        spans = kind.spans(answer)
    except InputError:  # there was no answer
        return [] if kind.shape is AnswerShape.LABELS else ""
    return answer if spans is None else "\n".join(f"{span.type}: {span.text}" for span in spans)


def right_answer(kind: Kind, given: str | Sequence[str] | None, *, text: str, labels: Sequence[str]) -> str:
    """Read what a person gave as a canonical answer to `text`; raises `InputError` with what is wrong with it."""
    if kind.one_label:
        if not isinstance(given, str) or given not in labels:
            raise InputError("Choose the right label first.")
        return given
    if kind.shape is AnswerShape.LABELS:
        chosen = [] if given is None or isinstance(given, str) else list(given)
        if not set(chosen) <= set(labels):
            raise InputError("Choose among the labels of the task.")
        return write_labels(chosen, labels)
    written = given if isinstance(given, str) else ""
    if len(written) > LONGEST:
        raise InputError(f"The answer is longer than {LONGEST:,} characters; shorten it.")
    if kind.shape is AnswerShape.SPANS:
        return write_spans(_spans(written, text=text, types=labels))
    if not written.strip():
        raise InputError("Write the right answer first.")
    return written


def _spans(written: str, *, text: str, types: Sequence[str]) -> tuple[Span, ...]:
    named = list[Named]()
    for line in filter(str.strip, written.splitlines()):
        stated = line.strip()
        type_ = max((each for each in types if stated.startswith(f"{each}:")), key=len, default=None)
        if type_ is None:
            known = ", ".join(types)
            raise InputError(f"'{stated:.60}' does not begin with a type; write one of {known}, then a colon.")
        words = stated.removeprefix(f"{type_}:").strip()
        _, dropped = place([*named, Named(type_, words)], text, text)
        if dropped:
            raise InputError(f"'{words:.60}' does not stand in the message (any more); copy it from there.")
        named.append(Named(type_, words))
    return place(named, text, text)[0] if named else ()


def keep(content: PlaygroundContent, asked: WasAsked, given: str | Sequence[str] | None) -> tuple[str, bool]:
    """Keep the right answer; returns it in canonical form, and whether the message stands in test.

    Raises `InputError` for no right answer, for the one that was given, and where the file cannot be written.
    """
    if content.corrections is None:
        raise InputError("Corrections are kept beside a run; serve the run folder.")
    task = content.task
    right = right_answer(content.kind, given, text=asked.text, labels=task.labels)
    if right == asked.answer:
        raise InputError("That is the answer that was given; there is nothing to correct.")
    answer = content.kind.as_json(asked.answer) if asked.answer else None
    correction = Correction(asked.text, answer, content.kind.as_json(right), task.strategy, task.model, now())
    append_correction(content.corrections, correction)
    return right, canonical(asked.text) in {canonical(row.text) for row in content.rows}
