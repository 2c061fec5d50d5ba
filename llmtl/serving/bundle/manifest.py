"""`bundle.json`: what a bundle serves, under which names, and from which files.

Every path in it is relative to the bundle, so that the folder can be moved. Not covered: writing the other files.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from pydantic import TypeAdapter

from llmtl.encoders.onnx_int8 import INT8_FOLDER, ONNX_FILE
from llmtl.engines.protocol import Precision
from llmtl.measured.endpoint import Int8Check
from llmtl.metrics.recalibration import LabelCalibration, SequenceCalibration
from llmtl.strategy import Retrieval
from llmtl.task import Example, Task

FORMAT = 6
READABLE = (1, 2, 3, 4, 5, FORMAT)
"""Since format 2 a bundle may hold a base model that llmtl's own server runs, since format 3 a strategy that answers
first, since format 4 an encoder, since format 5 baselines beside the winner, since format 6 a model whose
own weights were tuned, or an encoder in int8; all else is as in format 1."""
MANIFEST, CHECKSUMS, SIGNATURE = "bundle.json", "SHA256SUMS", "SHA256SUMS.sig"
MODEL_FOLDER, ADAPTER_FOLDER, CLASSIFIER_FOLDER, FIRST_FOLDER = "model", "adapter", "classifier", "first"
BESIDE_FOLDER = "beside"
"""Holds a folder per strategy that runs in the server's process beside the winner."""
ENCODER_FOLDER = "encoder"
"""Holds the encoder, as its makers published it, that the winner or the first strategy reads texts with."""
INT8_MODEL = f"{CLASSIFIER_FOLDER}/{INT8_FOLDER}/{ONNX_FILE}"
"""The winner's encoder in int8, the one file of a bundle that is looked into before it is taken for data."""
RETRIEVAL_FOLDER = "retrieval"
TOKENIZER_FOLDER = "tokenizer"
"""Holds the tokenizer's files where the weights come from the Hub; otherwise they are in the model's folder."""
CHAT_TEMPLATE, LABELS, CARD, RECORDED, POOL, REQUEST = (
    "chat_template.jinja",
    "labels.json",
    "README.md",
    "recorded.jsonl",
    "demonstrations.jsonl",
    "request.json",
)
VLLM_CONFIG, VLLM_CONFIG_HERE = "vllm.yaml", "vllm.here.yaml"
RAW = "raw"
"""The chat-template variable that, when true, turns the task's wording off: the model's own chat template remains."""


class Weights(StrEnum):
    """What computes a strategy's answer."""

    BASE = "base"  # the base model, prompted
    ADAPTER = "adapter"  # the base model with the LoRA adapter
    MERGED = "merged"  # a checkpoint with the adapter merged in
    WHOLE = "whole"  # the base model with its own weights tuned
    CLASSIFIER = "classifier"  # what the strategy wrote, in llmtl's own server
    HOSTED = "hosted"  # a model at its provider

    @property
    def on_vllm(self) -> bool:
        """Say whether vLLM runs them."""
        return self not in (Weights.CLASSIFIER, Weights.HOSTED)

    @property
    def own(self) -> bool:
        """Say whether they are a checkpoint of their own, beside which the base model cannot be asked."""
        return self in (Weights.MERGED, Weights.WHOLE)


@dataclass(frozen=True)
class Abstaining:
    """When a strategy leaves an input to a person: below `threshold`, a confidence in its answer.

    That is the answer's probability or, of a written answer, what `calibration` makes of it. Test showed that above it
    at most `max_error` of the answers are wrong. A chat that asks for it is told `text` then.
    """

    threshold: float
    max_error: float
    text: str
    calibration: SequenceCalibration | None = None

    def leaves(self, certainty: float | None) -> bool:
        """Say whether an answer of this certainty goes to a person; None is that of a failure."""
        return certainty is None or certainty < self.threshold


@dataclass(frozen=True)
class ServedStrategy:
    """A measured strategy that the server can run.

    `model` is the name clients ask for: the task's name for the winner, `TASK/STRATEGY` for the others.
    `engine_model` is the name under which vLLM knows the weights. `demonstrations` are shown before every input; of a
    retrieving strategy `retrieved` is how many are looked up for each input in the bundle's pool (the examples of
    `demonstrations.jsonl`, in index order) by the similarity that `retrieval` names, and `demonstrations` is empty.
    `instruction` is what the model is told, None for the task's own instruction; `calibration` corrects the label
    probabilities and thereby the label, None for none. The model is asked once for each of `rotations` orders of the
    labels, and what it says is averaged. `abstains` says when an input is left to a person, None where test showed no
    threshold for that.
    """

    name: str
    model: str
    engine_model: str
    weights: Weights
    demonstrations: tuple[Example, ...] = ()
    retrieved: int = 0
    retrieval: Retrieval = Retrieval.TFIDF
    instruction: str | None = None
    calibration: LabelCalibration | None = None
    abstains: Abstaining | None = None
    rotations: int = 1

    @property
    def by_scores(self) -> bool:
        """Say whether the answer comes from the scores of all labels: decoding one prompt may give another."""
        return self.calibration is not None or self.rotations > 1

    def told(self, task: Task) -> Task:
        """Return the task with the instruction of this strategy."""
        return task if self.instruction is None else replace(task, instruction=self.instruction)


@dataclass(frozen=True)
class AnswersFirst:
    """The first strategy of a cascade, which runs in the server's process from the files in `first/`.

    It answers where it gives its answer a probability of at least `threshold`; the strategy `then`, which the winner's
    weights run, answers the rest, of test the share `passed_on`.
    """

    name: str
    threshold: float
    then: str
    passed_on: float


@dataclass(frozen=True)
class BaseModel:
    """The language model: `source` is a folder in the bundle or, with `hub`, a Hub name at `revision`."""

    name: str
    source: str
    hub: bool
    revision: str | None
    licence: str
    context_length: int
    dtype: Precision


@dataclass(frozen=True)
class HeldEncoder:
    """The encoder in a bundle's folder `encoder`, or in int8 with the classifier."""

    name: str
    licence: str


@dataclass(frozen=True)
class Output:
    """The form of an answer: one of the labels, JSON (label sets, spans), or text; the last two up to `max_tokens`.

    `grammar` is what a language model is held to: JSON that follows `schema` with the separators of `json.dumps`, as
    measured. The text `stop` ends an answer where a base model knows no token for that. Where no language model
    answers, there is none of `grammar`, `max_tokens` and `stop`. `embeds` says that the winner gives vectors of texts.
    """

    form: Literal["label", "json", "text"] = "label"
    schema: dict[str, Any] | None = None
    grammar: str | None = None
    max_tokens: int | None = None
    stop: str | None = None
    embeds: bool = False


@dataclass(frozen=True)
class Bundle:
    """What a bundle serves.

    `answers` are the texts the model writes for `task.labels`, in that order (a label, mostly; some chat templates put
    a space before it); in JSON they are the strings that stand for labels or types. `answer_tokens` are the token ids
    that any answer may have, the end of the answer included; empty where a tokenizer splits answers differently after
    different prompts, and where answers are not a single label. `end_token` is the id of the token that ends an answer.
    `base` and `encoder` are None where none is needed, and `base` of a hosted model. `made_from` tells this bundle from
    one made of something else. Of a cascade `first` is what answers before the winner's weights are asked. `int8` says
    whether the winner's encoder is in int8, None where nobody asked for that.
    """

    task: Task
    winner: ServedStrategy
    others: tuple[ServedStrategy, ...]
    base: BaseModel | None
    answers: tuple[str, ...]
    answer_tokens: tuple[int, ...]
    lora_rank: int
    created: str
    llmtl_version: str
    verdict: str
    output: Output = Output()
    end_token: int | None = None
    made_from: str = ""
    first: AnswersFirst | None = None
    encoder: HeldEncoder | None = None
    int8: Int8Check | None = None
    format: int = FORMAT

    @property
    def on_vllm(self) -> bool:
        """Say whether vLLM runs the winner; llmtl's own server does otherwise."""
        return self.winner.weights.on_vllm

    @property
    def run_by_weights(self) -> str:
        """Return the measured strategy that the winner's weights run: the winner, of a cascade its second member."""
        return self.winner.name if self.first is None else self.first.then

    @property
    def strategies(self) -> tuple[ServedStrategy, ...]:
        """Return the winner and the others."""
        return (self.winner, *self.others)

    @property
    def prompted(self) -> tuple[ServedStrategy, ...]:
        """Return the strategies that the language model runs."""
        return tuple(each for each in self.strategies if each.weights.on_vllm)


@dataclass(frozen=True)
class Recorded:
    """A test example with what was measured on it: one row of `recorded.jsonl`.

    `confidence` is that of the prediction where the strategy abstains and answers are written.
    """

    id: str
    text: str
    reference: str
    prediction: str | None
    probabilities: dict[str, float]
    confidence: float | None = None


BUNDLE = TypeAdapter(Bundle)
RECORDED_ROWS = TypeAdapter(tuple[Recorded, ...])
