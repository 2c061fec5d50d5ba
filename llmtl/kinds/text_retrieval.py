"""Retrieval: the texts of a corpus that are relevant to a query, the best first.

The canonical answer is a JSON list of their ids, `["12", "7"]`; a reference lists all that are relevant, in any order.
What is relevant to a query is said by its reference in one of three ways (`llmtl.data.relevance`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llmtl.answers import read_ranking, write_ranking
from llmtl.errors import InputError
from llmtl.kinds.kind import UNSAID, AnswerShape, Cell, Form, HubWords, Kind, Read, Show, as_list, as_text
from llmtl.metrics import RANKINGS
from llmtl.values import RANKED, Metric


@dataclass(frozen=True)
class IdList:
    """Ids as a JSON list: `["12", "7"]`."""

    names = ("Query", "Relevant")
    is_json = True
    heading = ""
    sample = "[]"
    schema = MappingProxyType({"type": "array", "items": {"type": "string"}})

    def write(self, answer: str, show: Show) -> str:
        """Write the ids as JSON."""
        return write_ranking(read_ranking(answer))

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Read a list of ids."""
        listed = as_list(stated)
        if listed is None or not all(isinstance(each, str) for each in listed):
            return Read(None)
        return Read(write_ranking(listed))

    def written_labels(self) -> tuple[str, ...]:
        """List nothing."""
        return ()


class RetrievalKind(Kind):
    """A ranking of texts for a query."""

    name = "retrieval"
    shape = AnswerShape.RANKING
    family = RANKINGS
    meanings = MappingProxyType(
        {
            Metric.NDCG_10: "how high the relevant texts stand among the first ten, against the best order there is "
            "(J\u00e4rvelin & Kek\u00e4l\u00e4inen 2002), 0 to 1",
            Metric.RECALL_10: "the share of the relevant texts that are among the first ten",
            Metric.MRR_10: "1 divided by the rank of the first relevant text among ten, 0 where there is none",
        }
    )
    instructions = (
        "Find the texts that are relevant to the query.",
        "List the texts of the corpus that answer the query, the most relevant first.",
        "Which texts are about the same as the query? Name them, the nearest first.",
    )
    hub = HubWords(
        pipeline="sentence-similarity",
        gives="the ids of the most relevant texts of its corpus",
        limit="It knows no other texts than those of its corpus, and names some even where none is relevant.",
    )
    fewest_labels = 0
    noun = "text"
    reference_noun = "relevant text"
    several_references = True

    def in_words(self, answer: str) -> str:
        """List the first ids: `12, 7`."""
        ids = read_ranking(answer)
        more = f" and {len(ids) - RANKED} more" if len(ids) > RANKED else ""
        return ", ".join(ids[:RANKED]) + more if ids else "(no text)"

    def constant(self, references: Sequence[str]) -> str:
        """Rank the texts by how often they are relevant; equals go by the order of `references`."""
        counts = Counter(id_ for reference in references for id_ in read_ranking(reference))
        return write_ranking(id_ for id_, _ in counts.most_common(RANKED))

    def read(self, cell: Cell) -> tuple[str, ...]:
        """Read what the query's relevant texts are called: a string, a list, or a JSON list in a string."""
        value = cell.value
        if isinstance(value, list) or (isinstance(value, str) and as_list(value) is not None):
            names: list[str] = [cell.name_of(item) for item in cell.items()]
        else:
            name = cell.name()
            names = [] if name is None else [name]
        return (write_ranking(filter(None, names)),) if any(names) else ()

    def canonical(self, value: object) -> str:
        """Take a list of ids, the same as a JSON string, or one id."""
        listed = value if isinstance(value, list) else as_list(as_text(value))
        if listed is None and not isinstance(value, dict) and value is not None:
            listed = [as_text(value)]
        if listed is None or not all(isinstance(each, str | int) for each in listed):
            raise InputError(f"'{as_text(value):.60}' is not a list of ids; write a JSON list of strings.")
        return write_ranking(map(str, listed))

    def as_json(self, answer: str) -> list[str]:
        """Give a list of ids."""
        return list(read_ranking(answer))

    def from_json(self, value: Any, labels: Sequence[str]) -> str:
        """Read a list of ids."""
        del labels
        return write_ranking(value)

    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Write a JSON list of ids."""
        del spoken, meanings
        return IdList()

    def does(self, labels: int) -> str:
        """Say that texts are found."""
        del labels
        return "Finds the texts of a corpus that are relevant to a text"


RETRIEVAL = RetrievalKind()
