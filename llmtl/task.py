"""What is to be predicted. The values that a task is about (`llmtl.values`) can be imported from here as well.

Not covered: what differs between kinds of task (`llmtl.kinds`), wording prompts (`llmtl.prompting.template`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.errors import InputError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.table import KindByName
from llmtl.values import (
    RIGHT_OR_WRONG,
    CorpusText,
    Draw,
    Example,
    FoundText,
    Image,
    Input,
    Message,
    Metric,
    Preference,
    Split,
    references,
    texts_of,
)

__all__ = [
    "RIGHT_OR_WRONG",
    "CorpusText",
    "Draw",
    "Example",
    "FoundText",
    "Image",
    "Input",
    "Message",
    "Metric",
    "Preference",
    "Split",
    "Task",
    "references",
    "texts_of",
]

LONGEST_DESCRIPTION = 500
"""Characters that the description of a label may have: some hundred tokens, which every prompt repeats."""


@dataclass(frozen=True)
class Task:
    """What to predict: the labels (extraction: the types) in prompt order, the instruction, the metric and the target.

    `max_output_tokens` bounds an answer that is not a label; None leaves it to the references in train. `descriptions`
    are pairs of a label and what it means, for any of the labels; prompts list them, and answers stay the labels.

    Raises `InputError` for too few labels (classification: two, extraction: one, generation: none), an empty or a
    repeated label, a metric of another kind of task, and a description that is empty, too long or of no label.
    """

    name: str
    labels: tuple[str, ...]
    instruction: str = CLASSIFICATION.instructions[0]
    metric: Metric = Metric.ACCURACY
    target: float | None = None
    kind: KindByName = CLASSIFICATION
    max_output_tokens: int | None = None
    descriptions: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        kind = self.kind
        if len(self.labels) < kind.fewest_labels:
            raise InputError(
                f"Task '{self.name}' has {len(self.labels)} label(s); give at least {kind.fewest_labels} for "
                f"{kind.name}."
            )
        if not kind.has_labels and self.labels:
            raise InputError(f"Task '{self.name}' is of kind {kind.name} and has labels; leave the labels out.")
        if any(not label.strip() for label in self.labels):
            raise InputError(f"Task '{self.name}' has an empty label; remove it or give it a name.")
        if len(set(self.labels)) < len(self.labels):
            raise InputError(f"Task '{self.name}' lists a label twice; remove the repeated one.")
        if self.metric not in kind.metrics:
            listed = ", ".join(metric.value for metric in kind.metrics)
            raise InputError(
                f"Task '{self.name}' cannot be scored by {self.metric.value}; metrics for {kind.name}: {listed}."
            )
        for label, description in self.descriptions:
            if label not in self.labels:
                raise InputError(f"Task '{self.name}' describes '{label}', which is not one of its {kind.noun}s.")
            if wrong := wrong_description(description):
                raise InputError(f"The description of '{label}' in task '{self.name}' {wrong}.")

    @property
    def label_meanings(self) -> Mapping[str, str]:
        """Say what each described label means, in the order of the descriptions."""
        return dict(self.descriptions)


def wrong_description(description: str) -> str | None:
    """Say what is wrong with the description of a label, and the cure; None where nothing is."""
    if not description.strip():
        return "is empty; say what the label means, or leave it out"
    if len(description) > LONGEST_DESCRIPTION:
        return (
            f"has {len(description):,} characters, and every prompt repeats it; say it in at most {LONGEST_DESCRIPTION}"
        )
    return None
