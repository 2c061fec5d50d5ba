"""How the answers of each kind of task are written, read and held to a schema.

    classification   the label
    multi-label      ["refund", "card"]
    extraction       [{"type": "time", "text": "6 pm"}]
    generation       the text

JSON is written as `json.dumps` writes it, letters outside ASCII as they are. Not covered: where answers stand in a
prompt (`llmtl.prompting.template`).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmtl.answers import NO_LABELS, NO_SPANS, read_labels, read_spans, write_labels, write_spans
from llmtl.kinds.places import Named, place
from llmtl.task import Task, TaskKind

MOST_SPANS = 100
"""Spans that an answer may have: a bound keeps a model from repeating itself until it is cut off."""

Show = Callable[[str], str]
"""From a text to the same text as a prompt shows it."""


@dataclass(frozen=True)
class Read:
    """A canonical answer (None for what cannot be read) and how many spans were dropped as not in the input."""

    answer: str | None
    dropped: int = 0


class Form(Protocol):
    """The answers of one kind of task."""

    @property
    def heading(self) -> str:
        """Return the line under the instruction, or an empty string."""

    @property
    def names(self) -> tuple[str, str]:
        """Return what an input and its answer are called in a plain prompt."""

    @property
    def is_json(self) -> bool:
        """Return whether an answer is JSON."""

    @property
    def sample(self) -> str:
        """Return any canonical answer."""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """Return the JSON schema of answers, or None when they are no JSON."""

    def write(self, answer: str, show: Show) -> str:
        """Return a canonical answer as a model writes it."""

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Return what a model wrote for the input `text` as a canonical answer."""


def form_of(task: Task, clean: Show) -> Form:
    """Return the form of a task's answers; `clean` breaks control texts."""
    spoken = {label: clean(label).strip() for label in task.labels}
    listed = ", ".join(spoken.values())
    labels = f"Labels: {listed}"
    if task.kind is TaskKind.MULTI_LABEL:
        return LabelList(spoken, labels)
    if task.kind is TaskKind.EXTRACTION:
        return SpanList(spoken, f"Types: {listed}")
    return FreeText() if task.kind is TaskKind.GENERATION else OneLabel(spoken, labels)


@dataclass(frozen=True)
class OneLabel:
    """One of the labels; `spoken` says how each is written."""

    spoken: Mapping[str, str]
    heading: str
    names = ("Message", "Label")
    is_json = False
    schema = None

    @property
    def sample(self) -> str:
        """Return the first label."""
        return next(iter(self.spoken))

    def write(self, answer: str, show: Show) -> str:
        """Return the label as it is spoken; raises `KeyError` for a label that is not the task's."""
        return self.spoken[answer]

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Return the label that is spoken so."""
        return Read(next((label for label, spoken in self.spoken.items() if spoken == stated), None))


@dataclass(frozen=True)
class LabelList:
    """Any number of the labels as a JSON list."""

    spoken: Mapping[str, str]
    heading: str
    names = ("Message", "Labels")
    is_json = True
    sample = NO_LABELS

    @property
    def schema(self) -> Mapping[str, Any]:
        """Return a list of labels, no longer than there are labels."""
        return {"type": "array", "items": {"enum": list(self.spoken.values())}, "maxItems": len(self.spoken)}

    def write(self, answer: str, show: Show) -> str:
        """Return the labels as JSON; raises `KeyError` for a label that is not the task's."""
        return json.dumps([self.spoken[label] for label in read_labels(answer)], ensure_ascii=False)

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Return the labels in the task's order, each once."""
        meant = {spoken: label for label, spoken in self.spoken.items()}
        listed = _list(stated)
        if listed is None or not all(isinstance(each, str) and each in meant for each in listed):
            return Read(None)
        return Read(write_labels([meant[each] for each in listed], list(self.spoken)))


@dataclass(frozen=True)
class SpanList:
    """Typed spans as a JSON list of objects, in the order of the text; `spoken` says how each type is written."""

    spoken: Mapping[str, str]
    heading: str
    names = ("Message", "Spans")
    is_json = True
    sample = NO_SPANS

    @property
    def schema(self) -> Mapping[str, Any]:
        """Return a list of objects with a type and a text."""
        span = {
            "type": "object",
            # no minLength: XGrammar would forbid escapes in the text
            "properties": {"type": {"enum": list(self.spoken.values())}, "text": {"type": "string"}},
            "required": ["type", "text"],
            "additionalProperties": False,
        }
        return {"type": "array", "items": span, "maxItems": MOST_SPANS}

    def write(self, answer: str, show: Show) -> str:
        """Return the spans as JSON, their texts as the prompt shows them; raises `KeyError` for an unknown type."""
        spans = [{"type": self.spoken[span.type], "text": show(span.text)} for span in read_spans(answer)]
        return json.dumps(spans, ensure_ascii=False)

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Return the spans with their offsets in `text`; white space around a span's text is ignored."""
        meant = {spoken: label for label, spoken in self.spoken.items()}
        listed = _list(stated)
        if listed is None or not all(_is_span(each, meant) for each in listed):
            return Read(None)
        spans, dropped = place([Named(meant[each["type"]], each["text"].strip()) for each in listed], text, show(text))
        return Read(write_spans(spans), dropped)


@dataclass(frozen=True)
class FreeText:
    """Text; an empty one is no answer."""

    names = ("Input", "Output")
    is_json = False
    heading = ""
    sample = "text"
    schema = None

    def write(self, answer: str, show: Show) -> str:
        """Return the text as a prompt shows it."""
        return show(answer).strip()

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Return what was written."""
        return Read(stated or None)


def _list(stated: str) -> Sequence[Any] | None:
    """Return the JSON list that `stated` is, or None."""
    try:
        value = json.loads(stated)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def _is_span(value: Any, types: Mapping[str, str]) -> bool:
    """Return whether a JSON value is a span with one of the types."""
    return (
        isinstance(value, dict)
        and set(value) == {"type", "text"}
        and isinstance(value["text"], str)
        and isinstance(value["type"], str)
        and value["type"] in types
    )
