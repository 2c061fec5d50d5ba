"""Spans as other tools write them, brought to {type, start, end, text}.

    doccano         [[0, 4, "date"]]
    spaCy           {"entities": [[0, 4, "date"]]}
    Prodigy         {"start": 0, "end": 4, "label": "date"}
    Label Studio    {"start": 0, "end": 4, "labels": ["date"]}, also inside "value", "result" and "annotations"
    transformers    {"entity_group": "date", "start": 0, "end": 4}
    BigBio (brat)   {"type": "date", "offsets": [[0, 4]], "text": ["6 pm"]}
    Telegram, Azure {"type": "date", "offset": 0, "length": 4}

Not covered: spans of several pieces, one tag per word (BIO), texts without their places, relations between spans.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from llmtl.answers import whole

_TYPE = ("type", "label", "labels", "entity_group", "tag", "category", "class")
_START = ("start", "begin", "start_offset", "start_char")
_END = ("end", "stop", "end_offset", "end_char")
_HOLDERS = ("entities", "spans", "annotations", "result", "label")
"""Under these names objects hold lists of spans."""


def listed_spans(value: object) -> object:
    """Give the list of spans in an object that holds one, and lists of such objects as one list; others as they are."""
    if isinstance(value, Mapping) and not _start(value):
        held = [value[name] for name in _HOLDERS if isinstance(value.get(name), list)]
        return listed_spans(held[0]) if len(held) == 1 else value
    if isinstance(value, list) and value and all(isinstance(each, Mapping) and _holds(each) for each in value):
        inner = [listed_spans(each) for each in value]
        return [span for each in inner if isinstance(each, list) for span in each]
    return value


def unified(item: object) -> Mapping[str, Any] | None:
    """Bring one span to {type, start, end} and, where it says so, text; None for what is not a span."""
    if isinstance(item, list | tuple):
        known = len(item) == 3 and isinstance(item[2], str) and not isinstance(item[0], str)
        return {"type": item[2], "start": item[0], "end": item[1]} if known else None
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("value"), Mapping):
        return unified(item["value"])
    places = list(_places(item))
    types = [only(item[name]) for name in _TYPE if item.get(name) is not None]
    if len(places) != 1 or not types:
        return None
    span = {"type": types[0], "start": places[0][0], "end": places[0][1]}
    return span | ({"text": only(item["text"])} if item.get("text") is not None else {})


def only(value: object) -> object:
    """Take the one item of a list that has one; anything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _places(item: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the places of a span: of one in several pieces, several."""
    starts, ends = _start(item), [item[name] for name in _END if name in item]
    if starts and ends:
        yield starts[0], ends[0]
    elif {"offset", "length"} <= item.keys():
        first, length = whole(item["offset"]), whole(item["length"])
        yield item["offset"], None if first is None or length is None else first + length
    elif isinstance(item.get("offsets"), list):
        yield from (tuple(pair) for pair in item["offsets"] if isinstance(pair, list) and len(pair) == 2)


def _start(item: Mapping[str, Any]) -> list[Any]:
    return [item[name] for name in _START if name in item]


def _holds(item: Mapping[str, Any]) -> bool:
    return not _start(item) and any(isinstance(item.get(name), list) for name in ("entities", "annotations", "result"))
