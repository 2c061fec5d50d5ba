"""What is to be predicted. The values that a task is about (`llmtl.values`) can be imported from here as well.

Not covered: what differs between kinds of task (`llmtl.kinds`), wording prompts (`llmtl.prompting.template`).
"""

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
    "Split",
    "Task",
    "references",
    "texts_of",
]


@dataclass(frozen=True)
class Task:
    """What to predict: the labels (extraction: the types) in prompt order, the instruction, the metric and the target.

    `max_output_tokens` bounds an answer that is not a label; None leaves it to the references in train.

    Raises `InputError` for too few labels (classification: two, extraction: one, generation: none), an empty or a
    repeated label, and a metric of another kind of task.
    """

    name: str
    labels: tuple[str, ...]
    instruction: str = CLASSIFICATION.instructions[0]
    metric: Metric = Metric.ACCURACY
    target: float | None = None
    kind: KindByName = CLASSIFICATION
    max_output_tokens: int | None = None

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
