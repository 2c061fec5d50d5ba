"""Answers of prediction files that are none of the labels. Not covered: finding them (`llmtl.decision.predictions`)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StrangeAnswers:
    """Of the n answers that a prediction file gives, `strange` name a label that no reference has; `sample` is one."""

    strategy: str
    strange: int
    n: int
    sample: str
    kind: Literal["strange_answers"] = "strange_answers"
