"""The base of all kinds of task: everything that differs between kinds is an attribute or a method of this class.

The floors above never ask which kind a task is of, only what the kind says. Most of it follows from the shape of the
answers; a kind states the rest. Not covered: the kinds (their own files), finding one by name (`llmtl.kinds.table`).
"""

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NoReturn, Protocol

from llmtl.answers import Span
from llmtl.errors import InputError
from llmtl.json_and_yaml import parse_json
from llmtl.lookalikes import plain_name
from llmtl.metrics import Family, Measure, score
from llmtl.metrics.intervals import Interval
from llmtl.values import Metric

Show = Callable[[str], str]
"""From a text to the same text as a prompt shows it."""
UNSAID: Mapping[str, str] = MappingProxyType({})
"""The meanings of labels that nobody described."""


class AnswerShape(StrEnum):
    """What an answer consists of; the value is the field of `/v1/predict` that holds it."""

    LABEL = "label"
    LABELS = "labels"
    SPANS = "spans"
    TEXT = "text"
    RANKING = "ranking"


@dataclass(frozen=True)
class Read:
    """A canonical answer (None for what cannot be read) and how many spans were dropped as not in the input."""

    answer: str | None
    dropped: int = 0


class Form(Protocol):
    """How a model writes the answers of one task."""

    @property
    def heading(self) -> str:
        """Say what may be answered, in the lines under the instruction; may be empty."""

    @property
    def names(self) -> tuple[str, str]:
        """Name an input and its answer in a plain prompt."""

    @property
    def is_json(self) -> bool:
        """Tell whether an answer is JSON, as `json.dumps` writes it with letters outside ASCII as they are."""

    @property
    def sample(self) -> str:
        """Give any canonical answer."""

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """Give the JSON schema of answers, or None when they are not JSON."""

    def write(self, answer: str, show: Show) -> str:
        """Write a canonical answer as a model does; raises `KeyError` for a label that is not the task's."""

    def read(self, stated: str, text: str, show: Show) -> Read:
        """Read what a model wrote for the input `text`."""

    def written_labels(self) -> tuple[str, ...]:
        """Give each label (extraction: type) as a model writes it, in the task's order."""


def listed(noun: str, spoken: Mapping[str, str], meanings: Mapping[str, str]) -> str:
    """List the labels in a line; where any is described, each on a line of its own with what it means."""
    if not meanings:
        return f"{noun}: {', '.join(spoken.values())}"
    lines = (f"- {said}: {meanings[label]}" if label in meanings else f"- {said}" for label, said in spoken.items())
    return "\n".join((f"{noun}:", *lines))


class Cell(Protocol):
    """One cell of the column of references; every method raises `DataError` that names the column and the row."""

    @property
    def value(self) -> object:
        """Give the value as the source holds it; it is not missing."""

    @property
    def text(self) -> str:
        """Give the input of the row."""

    @property
    def labels(self) -> Sequence[str]:
        """Give the task's labels in order, empty where the data is to tell them."""

    @property
    def separator(self) -> str:
        """Give what stands between several labels in a string."""

    def name(self) -> str | None:
        """Read the value as one string or number; None for one that is empty."""

    def items(self, unpack: Callable[[object], object] = lambda value: value) -> list[object]:
        """Read a list, or the list that a string holds; `unpack` takes it out of what holds it."""

    def name_of(self, item: object) -> str:
        """Read one item of a list as a string or number."""

    def text_of(self, item: object) -> str:
        """Read one item of a list as a text, as it stands."""

    def name_twice(self) -> None:
        """Remember that the cell names a label twice."""

    def fail(self, what: str) -> NoReturn:
        """Refuse the cell for holding `what`."""


@dataclass(frozen=True)
class HubWords:
    """What the card of a bundle says: the Hub's name of the task, what inputs are given, and what to beware of."""

    pipeline: str
    gives: str
    limit: str


class Kind(ABC):
    """One kind of task; kinds are equal by name, and a kind prints as its name."""

    name: ClassVar[str]
    shape: ClassVar[AnswerShape]
    family: ClassVar[Family]
    """How answers of this shape are scored."""
    meanings: ClassVar[Mapping[Metric, str]]
    """What each metric of the family measures, in a phrase."""
    instructions: ClassVar[tuple[str, ...]]
    """Wordings to try on dev; the first is what the model is told when the recipe says nothing."""
    hub: ClassVar[HubWords]
    fewest_labels: ClassVar[int] = 2
    noun: ClassVar[str] = "label"
    """What one of the task's labels is called."""
    reference_noun: ClassVar[str] = "label"
    """What a reference is called."""
    several_references: ClassVar[bool] = False
    """Whether several references of one input are all right; otherwise they contradict each other."""
    judged: ClassVar[bool] = False
    """Whether a language model may judge the answers."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kind) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<kind {self.name}>"

    def __deepcopy__(self, memo: object) -> "Kind":
        return self

    # What follows from the shape of answers.

    @property
    def one_label(self) -> bool:
        """Tell whether an answer is one of a closed set: it has probabilities, and labels can be confused or wrong."""
        return self.shape is AnswerShape.LABEL

    @property
    def lists(self) -> bool:
        """Tell whether an answer is a list that may be empty: nothing is confused, only found or missed."""
        return self.shape in (AnswerShape.LABELS, AnswerShape.SPANS)

    @property
    def has_labels(self) -> bool:
        """Tell whether a task has labels; without them an answer is a text or a ranking, right by degrees."""
        return self.one_label or self.lists

    @property
    def searches(self) -> bool:
        """Tell whether an answer ranks the texts of a corpus; a language model cannot write such a one."""
        return self.shape is AnswerShape.RANKING

    @property
    def output(self) -> Literal["label", "json", "text"]:
        """Name the form in which a served model writes answers."""
        return "label" if self.one_label else "json" if self.lists or self.searches else "text"

    # Scoring.

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """List the metrics, the default for deciding first."""
        return self.family.metrics

    def measure(
        self,
        metric: Metric,
        references: Sequence[str],
        *,
        alternatives: Sequence[Sequence[str]] = (),
        labels: Collection[str] = (),
    ) -> Measure:
        """Make a metric on these references (see `Family.measure`)."""
        return self.family.measure(metric, references, alternatives=alternatives, labels=labels)

    def score(
        self,
        references: Sequence[str],
        predictions: Sequence[str | None],
        *,
        labels: Collection[str] | None = None,
        alternatives: Sequence[Sequence[str]] = (),
        groups: Sequence[str | None] = (),
    ) -> dict[str, Interval]:
        """Score predictions in every metric, each with its 95% interval (see `llmtl.metrics.score`)."""
        return score(
            references, predictions, family=self.family, labels=labels, alternatives=alternatives, groups=groups
        )

    # References and answers, in canonical form (`llmtl.answers`).

    def named(self, answer: str) -> tuple[str, ...]:
        """List the labels (extraction: types) that an answer names, each once, sorted; none for free text."""
        return tuple(sorted(self.family.named(answer)))

    def strata(self, reference: str) -> tuple[str, ...]:
        """Tell what an example counts for in a split: its labels, or "" where it could have some and has none."""
        return self.named(reference) or (("",) if self.has_labels else ())

    def stratum(self, reference: str) -> str:
        """Name the one group of an example when demonstrations take turns: the set of its labels, or its text."""
        return "\n".join(self.named(reference)) if self.has_labels else reference

    def items(self, answer: str) -> Iterable[tuple[str, int, int]]:
        """List what is found or missed: labels, or spans by type and place; the label is each item's first part."""
        return [(label, 0, 0) for label in self.named(answer)]

    def counted(self, answer: str) -> tuple[str, ...]:
        """List what of an answer is counted over a file: labels, each span's type; of texts nothing."""
        return self.named(answer)

    def chips(self, answer: str) -> tuple[str, ...]:
        """Name each part of an answer that is a list, as a page shows it."""
        return self.counted(answer)

    def spans(self, answer: str) -> tuple[Span, ...] | None:
        """List the spans of an answer, to be marked in its input; None where answers have none."""
        del answer
        return None

    def meaning(self, reference: str, plain: Show) -> Hashable:
        """Tell what a reference says, whatever copies of a text may differ in; `plain` evens out case and space."""
        del plain
        return reference

    def renamed(self, reference: str, names: Mapping[str, str | None], labels: Sequence[str]) -> str | None:
        """Give labels their new names and take out those named None; None where that leaves no answer.

        `labels` are the task's afterwards, in order.
        """
        del labels
        return names.get(reference, reference)

    def in_words(self, answer: str) -> str:
        """Put an answer in a line that a person reads."""
        return answer

    def constant(self, references: Sequence[str]) -> str | None:
        """Give the answer that is right most often; None where answers hardly repeat and the most central one counts.

        Equals go by the order of `references`.
        """
        return Counter(references).most_common(1)[0][0] if self.has_labels else None

    # Data, prediction files and the endpoint.

    def read(self, cell: Cell) -> tuple[str, ...]:
        """Read the references in a cell that is not empty, the first one first; raises `DataError`."""
        name = cell.name()
        return () if name is None else (name,)

    def canonical(self, value: object) -> str:
        """Bring an answer in a prediction file into canonical form; raises `InputError` for what is none."""
        if isinstance(value, dict | list) or value is None:
            raise InputError(f"'{as_text(value):.60}' is not a text; write a string, or say which --kind it is.")
        return plain_name(as_text(value)) if self.one_label else as_text(value)

    def as_json(self, answer: str) -> Any:
        """Give an answer as a field of `/v1/predict` holds it."""
        return answer

    def from_json(self, value: Any, labels: Sequence[str]) -> str:
        """Read what `as_json` gave; `labels` are the task's in order."""
        del labels
        return str(value)

    def fields(self, read: Read, *, error: str = "") -> dict[str, Any]:
        """Give the fields of a row of `/v1/predict`; of an answer that could not be read, `error` says why."""
        fields: dict[str, Any] = {self.shape.value: None if read.answer is None else self.as_json(read.answer)}
        return fields if read.answer is not None else {**fields, "error": error}

    def answer_in(self, row: Mapping[str, Any], labels: Sequence[str]) -> str | None:
        """Read the canonical answer in a row of `/v1/predict`, or None in one without an answer."""
        value = row[self.shape.value]
        return None if value is None else self.from_json(value, labels)

    # Prompts and cards.

    @abstractmethod
    def form(self, spoken: Mapping[str, str], meanings: Mapping[str, str] = UNSAID) -> Form:
        """Make the written form of answers; `spoken` says how each label is written, in the task's order.

        `meanings` says in a line what those labels mean that are described.
        """

    @abstractmethod
    def does(self, labels: int) -> str:
        """Say what a task with so many labels does with a text."""


def as_text(value: object) -> str:
    """Give a string as it is, and anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_list(stated: str) -> Sequence[Any] | None:
    """Read a JSON list, or None."""
    try:
        value = parse_json(stated)
    except ValueError:
        return None
    return value if isinstance(value, list) else None
