"""Multi-label classification: any number of the labels.

The canonical answer is a JSON list of labels in the task's order: `["refund", "card"]`; `[]` for none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from llmtl.answers import NO_LABELS, read_labels, write_labels
from llmtl.errors import InputError
from llmtl.kinds.kind import UNSAID, AnswerShape, Cell, Form, HubWords, Kind, Read, Show, as_list, as_text, listed
from llmtl.lookalikes import plain_name
from llmtl.metrics import LABEL_SETS
from llmtl.values import Metric

INDICATORS = frozenset({"-1", "0", "1", "true", "false", "yes", "no"})
"""What vectors of indicators consist of."""


@dataclass(frozen=True)
class LabelList:
    """Any number of the labels as a JSON list: `["refund", "card"]`."""

    spoken: Mapping[str, str]
    meanings: Mapping[str, str] = field(default_factory=dict)
    names = ("Message", "Labels")
    is_json = True
    sample = NO_LABELS

    @property
    def heading(self) -> str:
        """List the labels."""
        return listed("Labels", self.spoken, self.meanings)

    @property
    def schema(self) -> Mapping[str, Any]:
        """Allow a list of labels, no longer than there are labels."""
        return {"type": "array", "items": {"enum": list(self.spoken.values())}, "maxItems": len(self.spoken)}

    def write(self, answer: str, show: Show) -> str:
        """Write the labels as JSON."""
        return json.dumps([self.spoken[label] for label in read_labels(answer)], ensure_ascii=False)

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Read the labels, each once, in the task's order."""
        meant = {spoken: label for label, spoken in self.spoken.items()}
        listed = as_list(stated)
        if listed is None or not all(isinstance(each, str) and each in meant for each in listed):
            return Read(None)
        return Read(write_labels([meant[each] for each in listed], list(self.spoken)))

    def written_labels(self) -> tuple[str, ...]:
        """Give each label as it is spoken."""
        return tuple(self.spoken.values())


class MultiLabelKind(Kind):
    """Any number of the labels; the set of them takes the place of the label."""

    name = "multi-label"
    shape = AnswerShape.LABELS
    family = LABEL_SETS
    meanings = MappingProxyType(
        {
            Metric.MICRO_F1: "the F1 score over all labels of all examples",
            Metric.MACRO_F1: "the F1 score of each label, averaged with every label counting the same",
            Metric.ACCURACY: "the share of examples given exactly the right set of labels",
        }
    )
    instructions = (
        "Classify the message. Answer with a JSON list of all labels that apply.",
        "Read the message and list every label that applies to it, as a JSON list. If none applies, write [].",
        "Which of the labels below describe this message? Reply with a JSON list of them and nothing else.",
    )
    hub = HubWords(
        pipeline="text-classification",
        gives="those of its labels that apply",
        limit="It knows no other labels than its own.",
    )
    reference_noun = "labels"

    def counted(self, answer: str) -> tuple[str, ...]:
        """List the labels in the task's order."""
        return read_labels(answer)

    def renamed(self, reference: str, names: Mapping[str, str | None], labels: Sequence[str]) -> str:
        """Rename within the set."""
        found = (names.get(label, label) for label in read_labels(reference))
        return write_labels([label for label in found if label is not None], labels)

    def in_words(self, answer: str) -> str:
        """List the labels: `late, rude`."""
        return ", ".join(read_labels(answer)) or "(no label)"

    def read(self, cell: Cell) -> tuple[str, ...]:
        """Read a list, also in a string, a string with separators, or an object of marks; `[]` for no label."""
        value: object = cell.value
        if isinstance(value, str) and not value.lstrip().startswith(("[", "{")):
            items: list[object] = [part for part in value.split(cell.separator) if part.strip()]
        else:
            items = [value] if isinstance(value, int | float) else cell.items(_marked)
        names = [cell.name_of(item) for item in items]
        if _are_marks(items, names):
            cell.fail(
                f"{names!r:.40}, which marks labels by their position; write the names of the labels that apply, such "
                'as ["refund", "card"]'
            )
        if len(set(names)) < len(names):
            cell.name_twice()
        return (write_labels(names, [*cell.labels, *sorted(set(names) - set(cell.labels))]),)

    def canonical(self, value: object) -> str:
        """Take a list of labels or the same as a JSON string."""
        text = as_text(value)
        found = as_list(text)
        if found is None or not all(isinstance(label, str) for label in found):
            raise InputError(f"'{text:.60}' is not a list of labels; write a JSON list of strings.")
        labels = [plain_name(label) for label in found]
        return write_labels(labels, sorted(set(labels)))

    def as_json(self, answer: str) -> list[str]:
        """Give a list of labels."""
        return list(read_labels(answer))

    def from_json(self, value: Any, labels: Sequence[str]) -> str:
        """Put the labels in the task's order."""
        return write_labels(value, labels)

    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Write a JSON list."""
        return LabelList(spoken, meanings)

    def does(self, labels: int) -> str:
        """Say how many labels there are."""
        return f"Gives a text any of {labels} labels"


def _marked(value: object) -> object:
    """Give the labels that an object of marks says yes to, `{"refund": 1, "card": 0}`; anything else as it is."""
    if isinstance(value, Mapping) and all(isinstance(mark, int) and mark in (0, 1) for mark in value.values()):
        return [name for name, mark in value.items() if mark]
    return value


def _are_marks(items: Sequence[object], names: Sequence[str]) -> bool:
    """Tell a list that marks labels by their position: by truth values, probabilities, or zeros and ones repeated."""
    if any(isinstance(item, bool) or (isinstance(item, float) and not item.is_integer()) for item in items):
        return len(items) > 1
    return len(set(names)) < len(names) and {name.casefold() for name in names} <= INDICATORS


MULTI_LABEL = MultiLabelKind()
