"""The values that every floor shares: metrics by name, messages, inputs, examples and splits.

Not covered: the task itself (`llmtl.task`), the form of references and answers (`llmtl.answers`).
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

from llmtl.errors import InputError, MissingFileError


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
    NDCG_10 = "ndcg@10"  # retrieval
    RECALL_10 = "recall@10"  # retrieval
    MRR_10 = "mrr@10"  # retrieval


RIGHT_OR_WRONG = (Metric.ACCURACY, Metric.EXACT_MATCH)
"""The metrics that are a share of right answers."""


RANKED = 10
"""How many texts a ranking names, and how many its metrics look at."""


class Draw(StrEnum):
    """What chance decides when a strategy is fitted or asked once more: how its score varies on the same examples."""

    NONE = "none"  # fitted and asked again it answers the same
    TRAINING = "training"  # the seed of a training
    DEMONSTRATIONS = "demonstrations"  # which examples are shown, and in which order
    REPLIES = "replies"  # a model at its provider answers the same prompt differently
    UNKNOWN = "unknown"  # predictions made elsewhere do not say


class Message(TypedDict):
    """One turn of a conversation, in the form chat templates take."""

    role: str
    content: str


@dataclass(frozen=True)
class Image:
    """An image, given by the `path` of its file or by its `data`; the file is read when the image is asked for.

    Raises `InputError` unless exactly one of the two is given.
    """

    media_type: str
    path: str | None = None
    data: bytes | None = None

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            raise InputError("An image has either the path of a file or its bytes; give one of them.")

    def __str__(self) -> str:
        return self.path or f"image {self.sha256[:12]}"

    def read(self) -> bytes:
        """Give the bytes; raises `MissingFileError` where the file cannot be read."""
        if self.data is not None:
            return self.data
        try:
            return Path(str(self.path)).read_bytes()
        except OSError as error:
            why = error.strerror
            raise MissingFileError(f"The image '{self.path}' cannot be read ({why}); check the path.") from None

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the bytes (64 hex digits): what tells images apart, wherever they lie."""
        return hashlib.sha256(self.read()).hexdigest()


Input = str | Image


@dataclass(frozen=True)
class Example:
    """One input with its reference in canonical form (`llmtl.answers`); `id` is unique within a run.

    `alternatives` are further references that are as right (generation). `group` names what examples come from together
    (a customer, a document): examples of one group are not independent.
    """

    id: str
    input: Input
    reference: str
    alternatives: tuple[str, ...] = ()
    group: str | None = None

    @property
    def text(self) -> str:
        """The input where it is a text; raises `InputError` for an image."""
        return text_of(self.input)

    @property
    def key(self) -> str:
        """What tells inputs apart: the text, or the hash of an image."""
        return self.input if isinstance(self.input, str) else f"image:{self.input.sha256}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # a row of a run folder says `text` or `image`; pydantic is not needed to make examples, so it is asked for here
        from pydantic_core import core_schema as schema

        fields = {
            "id": schema.typed_dict_field(schema.str_schema()),
            "text": schema.typed_dict_field(schema.str_schema(), required=False),
            "image": schema.typed_dict_field(schema.dict_schema(), required=False),
            "reference": schema.typed_dict_field(schema.str_schema()),
            "alternatives": schema.typed_dict_field(schema.list_schema(schema.str_schema()), required=False),
            "group": schema.typed_dict_field(schema.nullable_schema(schema.str_schema()), required=False),
        }
        row = schema.no_info_after_validator_function(_example, schema.typed_dict_schema(fields))
        return schema.union_schema(
            [schema.is_instance_schema(cls), row], serialization=schema.plain_serializer_function_ser_schema(_row)
        )


def text_of(value: Input) -> str:
    """Give an input that is a text; raises `InputError` for an image."""
    if isinstance(value, str):
        return value
    raise InputError(f"'{value}' is an image, and this strategy reads texts; run strategies that take images.")


def texts_of(inputs: Sequence[Input]) -> list[str]:
    """Give inputs that are all texts; raises `InputError` for an image."""
    return [text_of(value) for value in inputs]


def _row(example: Example) -> dict[str, Any]:
    """Write an example as run folders and bundles hold it."""
    value = example.input
    return {
        "id": example.id,
        **({"text": value} if isinstance(value, str) else {"image": _image_row(value)}),
        "reference": example.reference,
        "alternatives": list(example.alternatives),
        "group": example.group,
    }


def _image_row(image: Image) -> dict[str, str]:
    if image.data is None:
        return {"media_type": image.media_type, "path": str(image.path)}
    return {"media_type": image.media_type, "base64": base64.b64encode(image.data).decode()}


def _example(row: Mapping[str, Any]) -> Example:
    """Read an example back; raises `ValueError` for a row without exactly one input."""
    if ("text" in row) == ("image" in row):
        raise ValueError("an example has either a text or an image")
    value = row["text"] if "text" in row else _image(row["image"])
    return Example(row["id"], value, row["reference"], tuple(row.get("alternatives", ())), row.get("group"))


def _image(row: Mapping[str, str]) -> Image:
    try:
        data = base64.b64decode(row["base64"], validate=True) if "base64" in row else None
        return Image(row["media_type"], row.get("path"), data)
    except (KeyError, InputError) as error:
        raise ValueError(f"an image has a media_type, and a path or base64 ({error})") from None


@dataclass(frozen=True)
class CorpusText:
    """One text of a corpus that is searched; references and answers name it by its `id`."""

    id: str
    text: str


@dataclass(frozen=True)
class FoundText:
    """A text of the corpus that was found, with its score: the higher, the better, on the searcher's own scale."""

    id: str
    text: str
    score: float


@dataclass(frozen=True)
class Preference:
    """Two answers to an input, `chosen` the better one; `ended` tells whether the other was written to its end."""

    input: str
    chosen: str
    rejected: str
    ended: bool = True


@dataclass(frozen=True)
class Split:
    """The three disjoint parts of the data; `test` stays sealed until the choice is written down.

    `corpus` is what queries are answered from, empty where a task does not search. `preferences` are answers to inputs
    of neither dev nor test, where the recipe names some.
    """

    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    test: tuple[Example, ...]
    corpus: tuple[CorpusText, ...] = ()
    preferences: tuple[Preference, ...] = ()


def references(examples: Sequence[Example]) -> list[str]:
    """Return the reference of each example, in order."""
    return [example.reference for example in examples]
