"""The seam that all strategies share: what one says about itself, what it is given, what fitting and predicting yield.

A strategy sees train and dev only; nothing here can reach the test split. Not covered: which strategies exist
(`llmtl.strategies.table`), scoring (`llmtl.measured.evaluation`).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict

from llmtl.engines.openai.config import HostedModel
from llmtl.findings import FitFinding
from llmtl.fit_context import Budget, FitContext, PromptSpeed
from llmtl.kinds.kind import Kind
from llmtl.progress import Advance
from llmtl.task import Draw, Example, Input

if TYPE_CHECKING:
    from llmtl.engines.checkpoint import CheckpointInfo
    from llmtl.hardware import Hardware
    from llmtl.metrics.recalibration import LabelCalibration, SequenceCalibration

__all__ = [
    "Alone",
    "AnyStrategy",
    "Budget",
    "CascadeServed",
    "Facts",
    "FitContext",
    "Fitted",
    "LOOKS",
    "LocalServed",
    "Look",
    "NoChoices",
    "Prediction",
    "Predictor",
    "PromptServed",
    "PromptSpeed",
    "ProviderServed",
    "Retrieval",
    "Retrieved",
    "Role",
    "Runs",
    "Section",
    "Served",
    "Shape",
    "Strategy",
]


class Role(StrEnum):
    """What a strategy stands for in the decision.

    `features` is a frozen model with a trained head, `cascade` two strategies of which the cheap one answers first.
    """

    BASELINE = "baseline"
    PROMPTING = "prompting"
    FEATURES = "features"
    TUNING = "tuning"
    CASCADE = "cascade"


class Shape(StrEnum):
    """The shape of a role's mark in charts."""

    SQUARE = "square"
    CIRCLE = "circle"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"
    HEXAGON = "hexagon"


@dataclass(frozen=True)
class Look:
    """How a role is written, ranked and drawn: of two as cheap, the one of lower `simplicity` is taken.

    Colours are hexadecimal, for a light and for a dark page.
    """

    name: str
    simplicity: int
    mark: Shape
    colour: str
    dark_colour: str


LOOKS: Mapping[Role, Look] = {
    Role.BASELINE: Look("baseline", 0, Shape.SQUARE, colour="#68707b", dark_colour="#a3abb5"),
    Role.PROMPTING: Look("prompting", 1, Shape.CIRCLE, colour="#0072b2", dark_colour="#56b4e9"),
    Role.FEATURES: Look("features", 2, Shape.TRIANGLE, colour="#7a5195", dark_colour="#b795d4"),
    Role.TUNING: Look("tuning", 3, Shape.DIAMOND, colour="#c95200", dark_colour="#f08c4a"),
    Role.CASCADE: Look("cascade", 4, Shape.HEXAGON, colour="#0b7a5e", dark_colour="#4cc79a"),
}
"""The one table that wording, charts, style sheets and the choice between equally cheap strategies read."""


@dataclass(frozen=True)
class Prediction:
    """One predicted canonical answer, or a recorded failure (`answer` None and `failure` saying why).

    `probabilities` has one entry per label of the task and sums to 1 (classification), or is empty: after a failure,
    where the model tells none, and for other kinds of task. `confidence`, 0 to 1, is how sure of its answer a predictor
    is that gives no such probabilities; None where it does not say. `logprob` is the log-probability of a written
    answer, or of a sequence of tags, as a whole: not yet a confidence, which needs a calibration; None where there is
    none. `dropped_spans` counts what a model extracted that is not in the input. Token counts are 0 for strategies
    without a language model. `seconds` is this input's share of its batch's wall time.
    """

    id: str
    answer: str | None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    dropped_spans: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    confidence: float | None = None
    logprob: float | None = None

    @property
    def certainty(self) -> float | None:
        """Give the probability of the answer, or else the confidence; None after a failure and where none is known."""
        if self.answer is None:
            return None
        return self.probabilities.get(self.answer, self.confidence)

    def certainty_by(self, calibration: "SequenceCalibration | None") -> float | None:
        """Give the certainty or, of a written answer, the chance that the calibration makes of its log-probability."""
        known = self.certainty
        if known is not None or self.answer is None or self.logprob is None or calibration is None:
            return known
        return calibration.chance(self.logprob)


class Retrieval(StrEnum):
    """What similarity of an input to the training examples is."""

    TFIDF = "tfidf"
    MODEL = "model"  # mean of the model's own last hidden states
    SENTENCES = "sentence-transformers"


@dataclass(frozen=True)
class Retrieved:
    """Demonstrations looked up for each input: the `shots` examples of `pool` that are most similar.

    Of equally similar ones the first in `pool` comes first. `seed` drew the order of the pool from train.
    `sentence_model` and `revision` name the encoder that embeds, where one does.
    """

    shots: int
    seed: int
    pool: tuple[Example, ...]
    by: Retrieval = Retrieval.TFIDF
    sentence_model: str = ""
    revision: str | None = None


@dataclass(frozen=True)
class PromptServed:
    """Served by prompting the base model, with the LoRA adapter in the folder `adapter` if there is one.

    Where `checkpoint` is given, the model in that folder, whose own weights were tuned, is prompted in its place.
    `instruction` is what the model is told, None for the task's own; `demonstrations` are shown before every input.
    `calibration` corrects the label probabilities and thereby the label. `max_tokens` is the most that an answer may
    have where one is written, its end included; None where labels are scored. The model is asked once for each of
    `rotations` orders of the labels, and what it says is averaged (`llmtl.prompting.rotations`).
    """

    instruction: str | None = None
    demonstrations: tuple[Example, ...] = ()
    retrieved: Retrieved | None = None
    calibration: "LabelCalibration | None" = None
    adapter: Path | None = None
    max_tokens: int | None = None
    rotations: int = 1
    checkpoint: Path | None = None

    @property
    def tuned(self) -> Path | None:
        """Name the folder of what a training made of the base model; None where it is asked as it is."""
        return self.adapter or self.checkpoint


@dataclass(frozen=True)
class LocalServed:
    """Served by llmtl's own server, in its process: it loads what `Predictor.save` wrote.

    `needs_base_model` says that the base model is loaded beside it by the transformers engine, `needs_encoder` that
    the context's encoder is, as it is: a bundle holds a copy. `one_at_a_time` says that only one thread may predict at
    once, `embeds` that the predictor gives vectors, too. `memory_gib` is what it takes beside the base model.
    """

    needs_base_model: bool = False
    needs_encoder: bool = False
    one_at_a_time: bool = False
    embeds: bool = False
    memory_gib: float = 0.0


@dataclass(frozen=True)
class ProviderServed:
    """Served by asking a model at its provider; `prompt` says how."""

    model: HostedModel
    prompt: PromptServed


Alone = PromptServed | LocalServed | ProviderServed
"""How a predictor is served that is not composed of others. A new form must be implemented in `llmtl.serving`."""


@dataclass(frozen=True)
class CascadeServed:
    """Served by `first` where it gives its answer a probability of at least `threshold`, and by `then` otherwise."""

    first: LocalServed
    then: Alone
    threshold: float


Served = Alone | CascadeServed
"""How a predictor is served."""


class Predictor(Protocol):
    """A fitted strategy."""

    def predict(self, inputs: Sequence[Input], *, advance: Advance = ...) -> list[Prediction]:
        """Predict in order, one prediction per text, with `id` left as the text's position ("0", "1", ...)."""

    def save(self, folder: Path) -> None:
        """Write all that `Strategy.load` needs to `folder`, which exists; no file may be able to run code."""

    def served(self) -> Served:
        """Say how it is served, without loading a model."""


@dataclass(frozen=True)
class Fitted:
    """What fitting yields; it is saved to the context's folder afterwards.

    `earlier_seconds` were spent in commands that were killed, where this one went on.
    """

    predictor: Predictor
    findings: tuple[FitFinding, ...] = ()
    earlier_seconds: float = 0.0


class Runs(StrEnum):
    """What a strategy needs to predict, beside what it learned."""

    NOTHING = "nothing"
    ENCODER = "encoder"
    BASE_MODEL = "base model"
    PROVIDER = "provider"  # a model at an endpoint, mostly on another machine


@dataclass(frozen=True)
class Facts:
    """What a strategy says about itself, as data.

    answers: the shapes of answers (`llmtl.kinds.kind.AnswerShape`) that it can give; None for all but rankings.
    served, default: the form its predictors are served in; whether it is measured where the recipe lists no strategies.
    on_cpu: the strategy that is measured in its place by default where there is no GPU; "" for none.
    learns_from_train: false where fitting looks at dev only, and so needs no training labels.
    fit_weight: its share of the time for fitting, beside the weights of the others that run; 0 for no limit.
    prompts, long_prompts: a request's cost in prompts of one input, and with demonstrations that no prefix cache holds.
    time_grows_with_train: whether fitting takes time in proportion to the number of training examples.
    draw: what another seed changes, so that finalists are fitted and tested with several (`llmtl.pipeline.draws`).
    redraw: the part of the time for fitting that a further draw takes.
    races: whether it may be dropped on a part of dev; false where scoring costs little, or taking turns more than that.
    has_curve: whether a learning curve can be measured of it: more training examples may make it better.
    uses_encoder: whether it looks at the context's encoder where there is one, beside what it runs on.
    plain_prompt: whether it asks the model with an instruction alone: what every choice is compared with.
    usual_baseline: whether it is the baseline to add first, where a task has none.
    control_of: the strategy of which this is the same without pre-training, which shows what that is worth.
    reads, prefers: strategies whose sections of the recipe it reads, too; whether it learns from data.preferences.
    made_with: the library behind it, by the Hub's name (https://huggingface.co/docs/hub/models-libraries).
    title, advice: "Fine-tuning with QLoRA", as people read it, and what to do: "Fine-tune {model} (QLoRA)".
    summary, is_made_by: one line for schema and tables; what follows "It is made by" on a model card.
    """

    name: str
    role: Role
    summary: str
    served: type[Served]
    answers: frozenset[str] | None = None
    runs: Runs = Runs.NOTHING
    default: bool = True
    on_cpu: str = ""
    learns_from_train: bool = True
    fit_weight: float = 0.0
    prompts: float = 0.0
    long_prompts: float = 0.0
    time_grows_with_train: bool = False
    draw: Draw = Draw.NONE
    redraw: float = 1.0
    races: bool = False
    has_curve: bool = False
    uses_encoder: bool = False
    plain_prompt: bool = False
    usual_baseline: bool = False
    control_of: str = ""
    reads: tuple[str, ...] = ()
    prefers: bool = False
    made_with: str = "llmtl"
    is_made_by: str = "a baseline that is not a language model"
    title: str = ""
    advice: str = ""

    def serves(self, kind: Kind) -> bool:
        """Say whether it solves tasks of a kind."""
        return not kind.searches if self.answers is None else kind.shape in self.answers

    @property
    def looks_at_encoder(self) -> bool:
        """Say whether what it does depends on which encoder the context has."""
        return self.runs is Runs.ENCODER or self.uses_encoder

    @property
    def quick_to_fit(self) -> bool:
        """Say whether fitting it again is always affordable."""
        return self.runs is Runs.NOTHING and self.fit_weight == 0


class NoChoices(BaseModel):
    """The section of a strategy that has nothing to choose; the recipe does not show it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Section = TypeVar("Section", bound=BaseModel)


class Strategy(ABC, Generic[Section]):
    """One way to solve the task: `facts` about it and the type of its recipe section are attributes of the class.

    The class is listed by `llmtl.strategies.table`, or by the entry-point group `llmtl.strategies` of another package.
    """

    facts: ClassVar[Facts]
    section: ClassVar[type[BaseModel]] = NoChoices
    goes_by_limit = False  # whether fitting depends on how much a tuned model may forget

    def __init__(self, config: Section | None = None) -> None:
        self.config = cast("Section", self.section() if config is None else config)

    @property
    def name(self) -> str:
        """Give the name in `facts`."""
        return self.facts.name

    @property
    def role(self) -> Role:
        """Give the role in `facts`."""
        return self.facts.role

    def require_packages(self) -> None:
        """Raise `MissingPackageError` for a package that fitting or predicting will need, before any work is done."""

    def require_memory(self, model: "CheckpointInfo", hardware: "Hardware") -> None:
        """Raise `ModelError` where fitting on the run's language model surely takes more memory than is free."""

    def doubts(self, model: "CheckpointInfo | None") -> tuple[str, ...]:
        """Say in a line each which choices will hardly work; `model` is the run's language model, where it has one."""
        del model
        return ()

    def forecast(self, context: FitContext) -> float | None:
        """Say how many seconds `fit` would take without a limit, from a few steps timed; None where not known."""

    @abstractmethod
    def fit(self, context: FitContext) -> Fitted:
        """Fit on train, tuned on dev."""

    @abstractmethod
    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the predictor that was saved to `folder`, without fitting again and without loading a language model.

        Where it is served locally, only the context's task and its engines may be used: a bundle has no train.
        """


AnyStrategy = Strategy[Any]
