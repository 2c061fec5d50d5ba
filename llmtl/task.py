"""What is to be predicted, and the examples: the values that every floor above shares.

Not covered: extraction and generation tasks (only single-label classification is defined here), loading data
(`llmtl.data`), wording prompts (`llmtl.templates`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

from llmtl.errors import InputError

DEFAULT_INSTRUCTION = "Classify the message. Answer with one label."


class TaskKind(StrEnum):
    """The kinds of task that llmtl can decide about."""

    CLASSIFICATION = "classification"


class Metric(StrEnum):
    """The score that a decision is made on; higher is better, range 0 to 1."""

    ACCURACY = "accuracy"
    MACRO_F1 = "macro_f1"


class Message(TypedDict):
    """One turn of a conversation, in the form chat templates take."""

    role: str
    content: str


@dataclass(frozen=True)
class Example:
    """One input with its reference; `id` is unique within a run."""

    id: str
    text: str
    reference: str


@dataclass(frozen=True)
class Task:
    """What to predict: the labels in prompt order, the instruction, the metric and the target.

    Raises `InputError` for fewer than two labels, an empty or a repeated label.
    """

    name: str
    labels: tuple[str, ...]
    instruction: str = DEFAULT_INSTRUCTION
    metric: Metric = Metric.ACCURACY
    target: float | None = None
    kind: TaskKind = TaskKind.CLASSIFICATION

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise InputError(f"Task '{self.name}' has {len(self.labels)} label(s); give at least two different labels.")
        if any(not label.strip() for label in self.labels):
            raise InputError(f"Task '{self.name}' has an empty label; remove it or give it a name.")
        if len(set(self.labels)) < len(self.labels):
            raise InputError(f"Task '{self.name}' lists a label twice; remove the repeated one.")


@dataclass(frozen=True)
class Split:
    """The three disjoint parts of the data; `test` stays sealed until the choice is written down."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]


def references(examples: Sequence[Example]) -> list[str]:
    """Return the reference of each example, in order."""
    return [example.reference for example in examples]
