"""What labels mean, as examples of their own: what a name says, a head need not guess from a few labelled texts.

Measured on vectors of MiniLM (`evals/few_labels.py`): names and descriptions, or names alone, as one more text of each
label help while there are few. Being one text of many it fades by itself. Not covered: prompts, which list the meanings
(`llmtl.prompting.template`).
"""

import re
from collections import Counter
from collections.abc import Sequence

from llmtl.answers import write_labels
from llmtl.task import Example, Task

FEW = 16
"""Training examples of a label from which on its meaning is not read: nothing was measured to come of it there."""


def meanings(task: Task, known: Sequence[Example]) -> tuple[Example, ...]:
    """Make an example of each label that few of the `known` ones have: its name, and its description if it has one."""
    seen = Counter(label for each in known for label in task.kind.named(each.reference))
    told = task.label_meanings
    return tuple(
        Example(
            id=f"meaning-{at}",
            input=": ".join((_spoken(label), *([told[label]] if label in told else []))),
            reference=write_labels([label], task.labels) if task.kind.lists else label,
        )
        for at, label in enumerate(task.labels)
        if seen[label] < FEW
    )


def _spoken(label: str) -> str:
    """Write a name as people speak it: `card arrival` for `card_arrival`, `sport football` for `sport/football`."""
    return " ".join(re.split(r"[\s_/]+", label)).strip() or label
