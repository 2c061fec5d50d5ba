"""Canonical answers as the fields of a row of `/v1/predict`, and as the text of a chat.

    classification   label, probabilities
    multi-label      labels
    extraction       spans (type, text, start, end), dropped
    generation       text

A row whose answer could not be read has null in the first of its fields and says why in `error`; `dropped` counts the
spans that a model named and that are not in the input. Not covered: reading what a model wrote
(`llmtl.prompting.template`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from llmtl.answers import Span, read_labels, read_spans, write_labels, write_spans
from llmtl.kinds.forms import Form, Read, form_of
from llmtl.task import Task, TaskKind

FIELD: Mapping[TaskKind, str] = MappingProxyType(
    {
        TaskKind.CLASSIFICATION: "label",
        TaskKind.MULTI_LABEL: "labels",
        TaskKind.EXTRACTION: "spans",
        TaskKind.GENERATION: "text",
    }
)
"""The field of a row that holds the answer."""


def fields_of(kind: TaskKind, read: Read, *, error: str = "") -> dict[str, Any]:
    """Return the fields of an answer; of one that could not be read, `error` says why."""
    fields: dict[str, Any] = {FIELD[kind]: None if read.answer is None else _value(kind, read.answer)}
    if kind is TaskKind.EXTRACTION:
        fields["dropped"] = read.dropped
    return fields if read.answer is not None else {**fields, "error": error}


def canonical(kind: TaskKind, labels: Sequence[str], row: Mapping[str, Any]) -> str | None:
    """Return the canonical answer in a row of `/v1/predict`, or None in one without an answer."""
    value = row[FIELD[kind]]
    if value is None:
        return None
    if kind is TaskKind.MULTI_LABEL:
        return write_labels(value, labels)
    if kind is TaskKind.EXTRACTION:
        return write_spans(Span(each["start"], each["end"], each["type"], each["text"]) for each in value)
    return str(value)


def plain_form(task: Task) -> Form:
    """Return the form of answers where no language model's control texts have to be broken."""
    return form_of(task, unchanged)


def unchanged(text: str) -> str:
    """Return the text."""
    return text


def _value(kind: TaskKind, answer: str) -> Any:
    """Return a canonical answer as JSON says it."""
    if kind is TaskKind.MULTI_LABEL:
        return list(read_labels(answer))
    if kind is TaskKind.EXTRACTION:
        # as canonical texts order them
        return [{name: asdict(span)[name] for name in ("type", "text", "start", "end")} for span in read_spans(answer)]
    return answer


def said(task: Task, answer: str) -> str:
    """Return a canonical answer as a chat says it where no language model writes it."""
    return plain_form(task).write(answer, unchanged)


def heard(task: Task, content: str, text: str) -> Read:
    """Return what a chat without a language model said about the input `text`."""
    return plain_form(task).read(content.strip(), text, unchanged)
