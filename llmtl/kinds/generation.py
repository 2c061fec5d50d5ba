"""Generation: a text; there are no labels, and several texts may be right.

The canonical answer is the text itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from llmtl.kinds.kind import UNSAID, AnswerShape, Cell, Form, HubWords, Kind, Read, Show
from llmtl.metrics import TEXTS
from llmtl.values import Metric


@dataclass(frozen=True)
class FreeText:
    """Text; an empty one is not an answer."""

    names = ("Input", "Output")
    is_json = False
    heading = ""
    sample = "text"
    schema = None

    def write(self, answer: str, show: Show) -> str:
        """Write the text as a prompt shows it."""
        return show(answer)

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Take what was written."""
        return Read(stated or None)

    def written_labels(self) -> tuple[str, ...]:
        """List nothing."""
        return ()


class GenerationKind(Kind):
    """A text in answer to an input."""

    name = "generation"
    shape = AnswerShape.TEXT
    family = TEXTS
    meanings = MappingProxyType(
        {
            Metric.CHRF: "the F-score of the runs of letters shared with the references (Popovi\u0107 2015), 0 to 1",
            Metric.BLEU: "the precision of the word sequences shared with the references (Papineni et al. 2002), "
            "0 to 1",
            Metric.ROUGE_L: "the F1 score of the longest word sequence shared with a reference (Lin 2004), 0 to 1",
            Metric.EXACT_MATCH: "the share of answers that equal a reference",
        }
    )
    instructions = (
        "Write the text that the input asks for.",
        "Read the input and write the output that belongs to it. Reply with the output alone.",
        "Turn the input into the output text, in the manner of the examples where there are any.",
    )
    hub = HubWords(
        pipeline="text-generation",
        gives="a text in answer",
        limit="What it writes may be wrong, and is no longer than answers in its training examples suggest.",
    )
    fewest_labels = 0
    reference_noun = "reference"
    several_references = True
    judged = True

    def read(self, cell: Cell) -> tuple[str, ...]:
        """Read a string, or a list of strings that are all right; white space has meaning, and stays."""
        if isinstance(cell.value, list):
            return tuple(dict.fromkeys(text for text in map(cell.text_of, cell.value) if text.strip()))
        return (cell.text_of(cell.value),) if isinstance(cell.value, str) else super().read(cell)

    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Write the text alone."""
        del spoken, meanings
        return FreeText()

    def does(self, labels: int) -> str:
        """Say that texts are written."""
        del labels
        return "Writes a text in answer to a text"


GENERATION = GenerationKind()
