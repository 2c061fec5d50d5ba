"""The canonical text of an answer of each kind of task: what `Example.reference` and `Prediction.answer` hold.

    classification   the label
    multi-label      a JSON list of labels in the task's order: `["refund", "card"]`; `[]` for none
    extraction       a JSON list of spans in order of position: `[{"type": ..., "text": ..., "start": 0, "end": 4}]`
    generation       the text itself
    retrieval        a JSON list of ids of texts: `["12", "7"]`, the best first; of a reference, all that are relevant

One string for every kind lets splits, stores and prediction files treat all kinds alike. Not covered: what a model
writes (`llmtl.prompting.template`), scoring (`llmtl.metrics`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmtl.errors import InputError
from llmtl.json_and_yaml import parse_json

NO_LABELS = "[]"
NO_SPANS = "[]"


@dataclass(frozen=True, order=True)
class Span:
    """A typed piece of an input: characters `start` to `end` (exclusive), which read `text`."""

    start: int
    end: int
    type: str
    text: str


def write_labels(labels: Iterable[str], order: Sequence[str]) -> str:
    """Write a set of labels as canonical text: each once, in the task's order."""
    chosen = set(labels)
    return json.dumps([label for label in order if label in chosen], ensure_ascii=False)


def read_labels(answer: str) -> tuple[str, ...]:
    """Read the labels of a canonical multi-label answer; raises `InputError` for anything else."""
    labels = _list(answer, "labels")
    if not all(isinstance(label, str) for label in labels):
        raise InputError(f"'{answer:.60}' is not a list of labels; write a JSON list of strings.")
    return tuple(labels)


def write_spans(spans: Iterable[Span]) -> str:
    """Write spans as canonical text, ordered by position."""
    return json.dumps(
        [{name: asdict(span)[name] for name in ("type", "text", "start", "end")} for span in sorted(spans)],
        ensure_ascii=False,
    )


def read_spans(answer: str) -> tuple[Span, ...]:
    """Read the spans of a canonical extraction answer; raises `InputError` for anything else."""
    try:
        return tuple(_span(row) for row in _list(answer, "spans"))
    except (KeyError, TypeError):
        raise InputError(
            f"'{answer:.60}' is not a list of spans; write a JSON list of objects with type, text, start and end."
        ) from None


def whole(value: object) -> int | None:
    """Read a place as a whole number, also one written as 3.0 or "3"; None for what is none."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _span(row: Any) -> Span:
    start, end = whole(row["start"]), whole(row["end"])
    if start is None or end is None:
        raise InputError(f"A span has the place {row['start']!r:.20} to {row['end']!r:.20}; write whole numbers.")
    return Span(start, end, row["type"], row["text"])


def write_ranking(ids: Iterable[str]) -> str:
    """Write the ids of a corpus' texts as canonical text: each once, in the given order."""
    return json.dumps(list(dict.fromkeys(ids)), ensure_ascii=False)


def read_ranking(answer: str) -> tuple[str, ...]:
    """Read the ids of a canonical ranking, or of what is relevant; raises `InputError` for anything else."""
    ids = _list(answer, "ids")
    if not all(isinstance(each, str) for each in ids):
        raise InputError(f"'{answer:.60}' is not a list of ids; write a JSON list of strings.")
    return tuple(ids)


def _list(answer: str, what: str) -> list[Any]:
    try:
        value = parse_json(answer)
    except json.JSONDecodeError:
        value = None
    if not isinstance(value, list):
        raise InputError(f"'{answer:.60}' is not a list of {what}; write a JSON list.")
    return value
