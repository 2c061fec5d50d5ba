"""Booking requests with marked spans, for the strategies that extract."""

import re

from llmtl.answers import Span, write_spans
from llmtl.kinds.extraction import EXTRACTION
from llmtl.task import Example, Metric, Task

TASK = Task("booking", ("time", "people", "name"), metric=Metric.MICRO_F1, kind=EXTRACTION)
NAMES = ("Ada Lund", "Bo Winter", "Cleo Marsh", "Dan Okoro", "Eva Stone", "Finn Duval", "Gil Reyes", "Hana Sato")
TRAIN = tuple(
    text.format(name=f"[name:{name}]", hour=3 + position, minute=10 * (position % 6), people=2 + position)
    for position, name in enumerate(NAMES)
    for text in (
        "a table at [time:{hour}:{minute:02d}pm] please",
        "this is {name}",
        "we are [people:{people} people] at [time:{hour}pm]",
        "{name} here, [people:{people}] of us",
        "do you have parking?",
    )
)
DEV = (
    "a table at [time:12:40pm] for [people:21 people]",
    "this is [name:Ida Brook]",
    "at [time:1pm] we are [people:19 people]",
    "thank you",
)


def example(marked, position=0):
    """Return the example of a text in which `[type:words]` marks a span."""
    spans, text, last = [], "", 0
    for match in re.finditer(r"\[(\w+):(.*?)\]", marked):
        text += marked[last : match.start()]
        spans.append(Span(len(text), len(text) + len(match[2]), match[1], match[2]))
        text, last = text + match[2], match.end()
    return Example(str(position), text + marked[last:], write_spans(spans))


def examples(marked):
    return tuple(example(each, position) for position, each in enumerate(marked))
