"""Extraction: typed spans of the input; the labels of the task are the types.

The canonical answer is a JSON list of spans in order of position: `[{"type": ..., "text": ..., "start": 0, "end": 4}]`.
A model writes types and texts only. Not covered: nested and discontinuous spans.
"""

import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from llmtl.answers import NO_SPANS, Span, read_spans, whole, write_spans
from llmtl.kinds.kind import UNSAID, AnswerShape, Cell, Form, HubWords, Kind, Read, Show, as_list, as_text, listed
from llmtl.kinds.places import Named, place
from llmtl.kinds.span_forms import listed_spans, unified
from llmtl.metrics import SPANS
from llmtl.values import Metric

MOST_SPANS = 100
"""Spans that an answer may have: a bound keeps a model from repeating itself until it is cut off."""


@dataclass(frozen=True)
class SpanList:
    """Typed spans as a JSON list of objects, in the order of the text: `[{"type": "time", "text": "6 pm"}]`."""

    spoken: Mapping[str, str]
    meanings: Mapping[str, str] = field(default_factory=dict)
    names = ("Message", "Spans")
    is_json = True
    sample = NO_SPANS

    @property
    def heading(self) -> str:
        """List the types."""
        return listed("Types", self.spoken, self.meanings)

    @property
    def schema(self) -> Mapping[str, Any]:
        """Allow a list of objects with a type and a text."""
        span = {
            "type": "object",
            # no minLength: XGrammar would forbid escapes in the text
            "properties": {"type": {"enum": list(self.spoken.values())}, "text": {"type": "string"}},
            "required": ["type", "text"],
            "additionalProperties": False,
        }
        return {"type": "array", "items": span, "maxItems": MOST_SPANS}

    def write(self, answer: str, show: Show) -> str:
        """Write the spans as JSON, their texts as the prompt shows them."""
        spans = [{"type": self.spoken[span.type], "text": show(span.text)} for span in read_spans(answer)]
        return json.dumps(spans, ensure_ascii=False)

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Find the spans in `text`; white space around a span's text is ignored."""
        meant = {spoken: label for label, spoken in self.spoken.items()}
        listed = as_list(stated)
        if listed is None or not all(_is_span(each, meant) for each in listed):
            return Read(None)
        spans, dropped = place([Named(meant[each["type"]], each["text"].strip()) for each in listed], text, show(text))
        return Read(write_spans(spans), dropped)

    def written_labels(self) -> tuple[str, ...]:
        """Give each type as it is spoken."""
        return tuple(self.spoken.values())


class ExtractionKind(Kind):
    """Typed spans of the input."""

    name = "extraction"
    shape = AnswerShape.SPANS
    family = SPANS
    meanings = MappingProxyType(
        {
            Metric.MICRO_F1: "the F1 score over all spans, right only with the type and both ends right",
            Metric.MACRO_F1: "the F1 score of the spans of each type, averaged with every type counting the same",
            Metric.PARTIAL_F1: "the F1 score over all spans, where one of the right type that overlaps counts half",
            Metric.FIELD_F1: "the F1 score over pairs of type and text, wherever they stand",
            Metric.EXACT_MATCH: "the share of examples in which every span is right and none too many",
        }
    )
    instructions = (
        "Extract the typed spans from the message. Answer with a JSON list.",
        "Find every span of the types below in the message, in the order of the text. Reply with a JSON list.",
        "Copy each piece of the message that is of one of the types below, as a JSON list. If there is none, write [].",
    )
    hub = HubWords(
        pipeline="token-classification",
        gives="the spans of its types that are in them",
        limit="It finds only texts that stand in the input letter for letter; where words repeat, the place of a span "
        "may be another's.",
    )
    fewest_labels = 1
    noun = "type"
    reference_noun = "spans"

    def items(self, answer: str) -> Iterable[tuple[str, int, int]]:
        """List the spans by type and place."""
        return [(span.type, span.start, span.end) for span in read_spans(answer)]

    def counted(self, answer: str) -> tuple[str, ...]:
        """List the type of every span."""
        return tuple(span.type for span in read_spans(answer))

    def chips(self, answer: str) -> tuple[str, ...]:
        """Name each span with its type: `time: 6 pm`."""
        return tuple(f"{span.type}: {span.text}" for span in read_spans(answer))

    def spans(self, answer: str) -> tuple[Span, ...]:
        """Read the spans."""
        return read_spans(answer)

    def meaning(self, reference: str, plain: Show) -> Hashable:
        """Compare types and texts: places differ between copies that differ in white space."""
        return tuple((span.type, plain(span.text)) for span in read_spans(reference))

    def renamed(self, reference: str, names: Mapping[str, str | None], labels: Sequence[str]) -> str:
        """Rename the types of spans; spans of a type that is named None go."""
        del labels
        found = ((span, names.get(span.type, span.type)) for span in read_spans(reference))
        return write_spans(replace(span, type=name) for span, name in found if name is not None)

    def in_words(self, answer: str) -> str:
        """List types and texts: `date: Friday; people: 4`."""
        return "; ".join(self.chips(answer)) or "(no span)"

    def constant(self, references: Sequence[str]) -> str:
        """Find nothing: exactly right wherever there is nothing to extract."""
        del references
        return NO_SPANS

    def read(self, cell: Cell) -> tuple[str, ...]:
        """Read a list of {type, start, end, text} or of another tool's spans, also in a string; `[]` for none."""
        spans = [_span(item, cell) for item in cell.items(listed_spans)]
        if len(set(spans)) < len(spans):
            cell.name_twice()
        return (write_spans(set(spans)),)

    def canonical(self, value: object) -> str:
        """Take a list of spans or the same as a JSON string."""
        return write_spans(read_spans(as_text(value)))

    def as_json(self, answer: str) -> list[dict[str, Any]]:
        """Give objects with their fields in the order of canonical texts."""
        return [{name: asdict(span)[name] for name in ("type", "text", "start", "end")} for span in read_spans(answer)]

    def from_json(self, value: Any, labels: Sequence[str]) -> str:
        """Read the objects."""
        del labels
        return write_spans(Span(each["start"], each["end"], each["type"], each["text"]) for each in value)

    def fields(self, read: Read, *, error: str = "") -> dict[str, Any]:
        """Say as well how many spans were dropped."""
        fields = super().fields(read, error=error)
        return {self.shape.value: fields.pop(self.shape.value), "dropped": read.dropped, **fields}

    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Write a JSON list of objects."""
        return SpanList(spoken, meanings)

    def does(self, labels: int) -> str:
        """Say how many types there are."""
        return f"Finds spans of {labels:,} {'type' if labels == 1 else 'types'} in a text"


def _misplaced(start: int, end: int, length: int) -> str:
    """Say what is wrong with a place in a text of so many characters, and the cure."""
    if start < 0:
        return "; count characters from 0, from the beginning of the text"
    if start >= end:
        return ", which is empty; write the end after the last character"
    return f" in a text of {length} characters; count characters from 0, with the end after the last one"


def _is_span(value: Any, types: Mapping[str, str]) -> bool:
    """Tell whether a JSON value is a span with one of the types."""
    return (
        isinstance(value, dict)
        and set(value) == {"type", "text"}
        and isinstance(value["text"], str)
        and isinstance(value["type"], str)
        and value["type"] in types
    )


def _span(item: object, cell: Cell) -> Span:
    """Read a span; its place must be inside the text and read what it says it reads."""
    span = unified(item)
    if span is None:
        cell.fail(f"{item!r:.60}; write spans as {{type, text, start, end}}")
    type_, start, end = cell.name_of(span["type"]), whole(span["start"]), whole(span["end"])
    if start is None or end is None:
        given = span["start" if start is None else "end"]
        cell.fail(f"a span with the place {given!r:.20}; write start and end as whole numbers")
    if not 0 <= start < end <= len(cell.text):
        cell.fail(f"a span from {start} to {end}{_misplaced(start, end, len(cell.text))}")
    found = cell.text[start:end]
    if span.get("text", found) != found:
        cell.fail(
            f"a span '{span['text']!s:.40}' whose place, {start} to {end}, reads '{found:.40}'; correct its start "
            "and end (characters from 0, the end after the last one)"
        )
    return Span(start, end, type_, found)


EXTRACTION = ExtractionKind()
