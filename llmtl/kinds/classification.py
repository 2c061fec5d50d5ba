"""Classification: one of the labels.

The canonical answer is the label itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from llmtl.kinds.kind import UNSAID, AnswerShape, Form, HubWords, Kind, Read, Show, listed
from llmtl.metrics import ONE_LABEL
from llmtl.values import Metric


@dataclass(frozen=True)
class OneLabel:
    """One of the labels; `spoken` says how each is written."""

    spoken: Mapping[str, str]
    meanings: Mapping[str, str] = field(default_factory=dict)
    names = ("Message", "Label")
    is_json = False
    schema = None

    @property
    def heading(self) -> str:
        """List the labels."""
        return listed("Labels", self.spoken, self.meanings)

    @property
    def sample(self) -> str:
        """Give the first label."""
        return next(iter(self.spoken))

    def write(self, answer: str, show: Show) -> str:
        """Write the label as it is spoken."""
        return self.spoken[answer]

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Find the label that is spoken so."""
        return Read(next((label for label, spoken in self.spoken.items() if spoken == stated), None))

    def written_labels(self) -> tuple[str, ...]:
        """Give each label as it is spoken."""
        return tuple(self.spoken.values())


class ClassificationKind(Kind):
    """One of the labels: the only closed set of answers, so the only one with probabilities."""

    name = "classification"
    shape = AnswerShape.LABEL
    family = ONE_LABEL
    meanings = MappingProxyType(
        {
            Metric.ACCURACY: "the share of examples given the right label",
            Metric.MACRO_F1: "the F1 score of each label, averaged with every label counting the same",
        }
    )
    instructions = (
        "Classify the message. Answer with one label.",
        "Read the message and decide which of the labels fits it best. Reply with that label and nothing else.",
        "What is this message about? Choose exactly one of the labels below.",
    )
    hub = HubWords(
        pipeline="text-classification",
        gives="one of its labels",
        limit="It always answers with one of its labels, also when none fits; the probability of the label tells more.",
    )

    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Write the label alone."""
        return OneLabel(spoken, meanings)

    def does(self, labels: int) -> str:
        """Say how many labels there are."""
        return f"Gives a text one of {labels} labels"


CLASSIFICATION = ClassificationKind()
