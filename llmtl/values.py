"""The values that every floor shares: metrics by name, messages, inputs, examples and splits.

Not covered: the task itself (`llmtl.task`), the form of references and answers (`llmtl.answers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict


class Metric(StrEnum):
    """The score that a decision is made on; higher is better, range 0 to 1."""

    ACCURACY = "accuracy"  # classification; subset accuracy for multi-label
    MACRO_F1 = "macro_f1"  # classification, multi-label; by type for extraction
    MICRO_F1 = "micro_f1"  # multi-label; strict spans for extraction
    PARTIAL_F1 = "partial_f1"  # extraction: micro, overlap of the right type counts half
    FIELD_F1 = "field_f1"  # extraction: (type, text) pairs wherever they stand
    CHRF = "chrf"  # generation
    BLEU = "bleu"  # generation
    ROUGE_L = "rouge_l"  # generation
    EXACT_MATCH = "exact_match"  # extraction and generation


RIGHT_OR_WRONG = (Metric.ACCURACY, Metric.EXACT_MATCH)
"""The metrics that are a share of right answers."""


class Message(TypedDict):
    """One turn of a conversation, in the form chat templates take."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """One input with its reference in canonical form (`llmtl.answers`); `id` is unique within a run.

    `alternatives` are further references that are as right (generation). `group` names what examples come from together
    (a customer, a document): examples of one group are not independent.
    """

    id: str
    text: str
    reference: str
    alternatives: tuple[str, ...] = ()
    group: str | None = None


@dataclass(frozen=True)
class Split:
    """The three disjoint parts of the data; `test` stays sealed until the choice is written down."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]


def references(examples: Sequence[Example]) -> list[str]:
    """Return the reference of each example, in order."""
    return [example.reference for example in examples]
