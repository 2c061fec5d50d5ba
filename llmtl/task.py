"""What is to be predicted, and the examples: the values that every floor above shares.

Not covered: the form of references and answers (`llmtl.answers`), loading data (`llmtl.data`), wording prompts
(`llmtl.prompting.template`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypedDict

from llmtl.errors import InputError


class TaskKind(StrEnum):
    """The kinds of task that llmtl can decide about."""

    CLASSIFICATION = "classification"  # one of the labels
    MULTI_LABEL = "multi-label"  # any number of the labels
    EXTRACTION = "extraction"  # typed spans of the input; the labels are the types
    GENERATION = "generation"  # text; there are no labels


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


METRICS: Mapping[TaskKind, tuple[Metric, ...]] = MappingProxyType(
    {
        TaskKind.CLASSIFICATION: (Metric.ACCURACY, Metric.MACRO_F1),
        TaskKind.MULTI_LABEL: (Metric.MICRO_F1, Metric.MACRO_F1, Metric.ACCURACY),
        TaskKind.EXTRACTION: (
            Metric.MICRO_F1,
            Metric.MACRO_F1,
            Metric.PARTIAL_F1,
            Metric.FIELD_F1,
            Metric.EXACT_MATCH,
        ),
        TaskKind.GENERATION: (Metric.CHRF, Metric.BLEU, Metric.ROUGE_L, Metric.EXACT_MATCH),
    }
)
"""The metrics of each kind; the first is the default for deciding."""
RIGHT_OR_WRONG = (Metric.ACCURACY, Metric.EXACT_MATCH)
"""The metrics that are a share of right answers."""

INSTRUCTIONS: Mapping[TaskKind, str] = MappingProxyType(
    {
        TaskKind.CLASSIFICATION: "Classify the message. Answer with one label.",
        TaskKind.MULTI_LABEL: "Classify the message. Answer with a JSON list of all labels that apply.",
        TaskKind.EXTRACTION: "Extract the typed spans from the message. Answer with a JSON list.",
        TaskKind.GENERATION: "Write the text that the input asks for.",
    }
)
"""What the model is told to do when the recipe says nothing."""
FEWEST_LABELS: Mapping[TaskKind, int] = MappingProxyType(
    {
        TaskKind.CLASSIFICATION: 2,
        TaskKind.MULTI_LABEL: 2,
        TaskKind.EXTRACTION: 1,
        TaskKind.GENERATION: 0,
    }
)
DEFAULT_INSTRUCTION = INSTRUCTIONS[TaskKind.CLASSIFICATION]


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
class Task:
    """What to predict: the labels (extraction: the types) in prompt order, the instruction, the metric and the target.

    `max_output_tokens` bounds an answer that is no label; None leaves it to the references in train.

    Raises `InputError` for too few labels (classification: two, extraction: one, generation: none), an empty or a
    repeated label, and a metric of another kind of task.
    """

    name: str
    labels: tuple[str, ...]
    instruction: str = DEFAULT_INSTRUCTION
    metric: Metric = Metric.ACCURACY
    target: float | None = None
    kind: TaskKind = TaskKind.CLASSIFICATION
    max_output_tokens: int | None = None

    def __post_init__(self) -> None:
        least = FEWEST_LABELS[self.kind]
        if len(self.labels) < least:
            raise InputError(
                f"Task '{self.name}' has {len(self.labels)} label(s); give at least {least} for {self.kind.value}."
            )
        if self.kind is TaskKind.GENERATION and self.labels:
            raise InputError(f"Task '{self.name}' generates text and has labels; leave the labels out.")
        if any(not label.strip() for label in self.labels):
            raise InputError(f"Task '{self.name}' has an empty label; remove it or give it a name.")
        if len(set(self.labels)) < len(self.labels):
            raise InputError(f"Task '{self.name}' lists a label twice; remove the repeated one.")
        if self.metric not in METRICS[self.kind]:
            listed = ", ".join(metric.value for metric in METRICS[self.kind])
            raise InputError(
                f"Task '{self.name}' cannot be scored by {self.metric.value}; metrics for {self.kind.value}: {listed}."
            )


@dataclass(frozen=True)
class Split:
    """The three disjoint parts of the data; `test` stays sealed until the choice is written down."""

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]


def references(examples: Sequence[Example]) -> list[str]:
    """Return the reference of each example, in order."""
    return [example.reference for example in examples]
