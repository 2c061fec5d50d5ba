"""What fitting found out, as values: what was tried, what was chosen, what it took.

Each has a `tag`, by which it is read back from JSON. Not covered: what they look like in a report (`llmtl.report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter


@dataclass(frozen=True)
class TriedPrompt:
    """A prompt's scores by metric on the dev examples of a search; `instruction` counts the wordings of the search.

    `rotations` is in how many orders the labels were listed, each asked once. `retrieval` is how demonstrations are
    found for each input, None where they are the same for all or where there was one way only.
    """

    shots: int
    seed: int
    scores: Mapping[str, float]
    failed: int
    seconds: float
    instruction: int = 0
    rotations: int = 1
    retrieval: str | None = None


@dataclass(frozen=True)
class LeftOutPrompt:
    """A prompt that was not scored, and why."""

    shots: int
    seed: int
    reason: str
    instruction: int = 0
    rotations: int = 1


@dataclass(frozen=True)
class SearchTrace:
    """A search for the best prompt on dev: the choice, by `metric`, and everything that was tried or left out.

    `optimism` is by how much being the best of the tried flatters the choice's score; None where it is not known.
    `late` counts the prompts that were left out for want of time.
    """

    shots: int
    seed: int
    instruction: int
    instructions: tuple[str, ...]
    metric: str
    dev_examples: int
    tried: tuple[TriedPrompt, ...]
    left_out: tuple[LeftOutPrompt, ...] = ()
    rotations: int = 1
    optimism: float | None = None
    late: int = 0
    retrieval: str | None = None
    tag: Literal["search"] = "search"

    @property
    def cut(self) -> "tuple[Cut, ...]":
        """Say how far the search came, where its time limit ended it."""
        return cut_short(len(self.tried), len(self.tried) + self.late, Unit.PROMPTS)


@dataclass(frozen=True)
class TriedCalibration:
    """Cross-validated decision metric and negative log-likelihood (nats) of calibrated predictions."""

    method: str
    score: float
    nll: float


@dataclass(frozen=True)
class CalibrationTrace:
    """Which calibrations of label probabilities were tried on how many examples; `chosen` is None where none helped."""

    chosen: str | None
    examples: int
    uncalibrated: TriedCalibration | None = None
    tried: tuple[TriedCalibration, ...] = ()
    tag: Literal["calibration"] = "calibration"


@dataclass(frozen=True)
class TrainingPoint:
    """One measurement; losses are mean negative log-likelihoods in nats per answer token.

    `train_loss` is the mean since the point before (None before the first step), `dev_token_accuracy` the share of dev
    answer tokens that rank first when the true tokens before them are given. The dev values are None without dev, and a
    loss that is not a finite number is None, too: training diverged. `dev_score` is the curve's `dev_metric` of the
    answers on dev, where epochs are compared by that.
    """

    step: int
    epoch: float
    train_loss: float | None
    dev_loss: float | None
    dev_token_accuracy: float | None
    seconds: float
    dev_score: float | None = None


@dataclass(frozen=True)
class TriedStrength:
    """A strength of consolidation, and by what share general English became harder to predict after training with it.

    With the 95% interval over passages; None where losses were not numbers.
    """

    strength: float
    rise: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TrainingCurve:
    """A training: the curve, the step that was kept, why it ended and what it used.

    `batch` examples are computed at once and `accumulation` such batches make a step. Where the average of the weights
    after `averaged_steps` was kept instead of those of the best step, `averaged_dev_loss` is its dev loss. `range_test`
    has the learning rates that were tried on a copy, and the training loss at each. Where the strength of consolidation
    was chosen, `strengths` has those that were tried, the last of them kept, and `most_forgetting` by what share
    general English might become harder to predict.
    """

    points: tuple[TrainingPoint, ...]
    best_step: int
    stopped_by: str
    learning_rate: float
    learning_rate_from: str
    batch: int
    accumulation: int
    train_examples: int
    dropped_train_examples: int
    dropped_dev_examples: int
    trained_tokens: int
    peak_memory_gib: float
    dev_metric: str = ""
    averaged_steps: tuple[int, ...] = ()
    averaged_dev_loss: float | None = None
    range_test: tuple[tuple[float, float], ...] = ()
    strengths: tuple[TriedStrength, ...] = ()
    most_forgetting: float | None = None
    tag: Literal["training"] = "training"

    def cut(self, max_epochs: int) -> "tuple[Cut, ...]":
        """Say how far training came where its time limit ended it (`stopped_by` is `budget`)."""
        return cut_training(self.points, self.best_step, max_epochs) if self.stopped_by == "budget" else ()


@dataclass(frozen=True)
class PreferenceStage:
    """A training on pairs of a better and a worse answer, from the adapter that a supervised one left.

    Of `asked` training inputs the model's own answer was the worse one where it differed from all references; 0 where
    pairs were given. `pairs` were learned from, and `dropped` were longer than the model takes. Each point has the
    training loss on pairs and `dev_score`, the `metric` of the answers to `dev_examples`; the first is the supervised
    adapter, which is kept where `best_step` is 0.
    """

    loss: str
    beta: float
    learning_rate: float
    asked: int
    pairs: int
    dropped: int
    metric: str
    dev_examples: int
    points: tuple[TrainingPoint, ...] = ()
    best_step: int = 0
    stopped_by: str = ""
    trained_tokens: int = 0
    tag: Literal["preferences"] = "preferences"

    def cut(self, max_epochs: int) -> "tuple[Cut, ...]":
        """Say how far training came where its time limit ended it (`stopped_by` is `budget`)."""
        return cut_training(self.points, self.best_step, max_epochs) if self.stopped_by == "budget" else ()


@dataclass(frozen=True)
class LayerChange:
    """A layer before and after tuning: how alike its states are (linear CKA, 1 for the same), and LogME of both.

    LogME (`llmtl.layers.separability`) is None where texts have no labels.
    """

    cka: float
    logme_before: float | None = None
    logme_after: float | None = None


@dataclass(frozen=True)
class LayerChanges:
    """What tuning changed in each layer of a pre-trained model, the embeddings first, on so many `texts` of dev."""

    layers: tuple[LayerChange, ...]
    texts: int
    tag: Literal["layers"] = "layers"


@dataclass(frozen=True)
class PreTrained:
    """The pre-trained model that tuning began with, and how many weights it has."""

    model: str
    parameters: int
    tag: Literal["pre-trained"] = "pre-trained"


@dataclass(frozen=True)
class LongInputs:
    """How many of `inputs` texts are longer than the `window` tokens that `encoder` reads at once.

    Those are read in windows that overlap. `instead_of` is the encoder that was left as too many texts were too long.
    """

    encoder: str
    window: int
    inputs: int
    longer: int
    instead_of: str | None = None
    tag: Literal["long-inputs"] = "long-inputs"


MEANINGS = "meanings"
"""Counts, in a point of a grid, the labels whose names and descriptions were learned from as further examples."""


@dataclass(frozen=True)
class GridPoint:
    """What was chosen at a point of a grid, and its dev scores by metric."""

    choice: Mapping[str, str | float]
    scores: Mapping[str, float]


@dataclass(frozen=True)
class GridTrace:
    """A grid that was tried on dev, and its best point by the task's metric.

    `optimism` is by how much being the best of the grid flatters its score; None where it is not known.
    """

    choice: Mapping[str, str | float]
    points: tuple[GridPoint, ...]
    optimism: float | None = None
    tag: Literal["grid"] = "grid"


@dataclass(frozen=True)
class PaidFitting:
    """What a provider was asked and paid while fitting; `unsupported` is what its server lacks.

    What it charges is tokens times price; `usd` is that at the prices of then, and all that an earlier version kept.
    """

    model: str
    base_url: str
    requests: int
    usd: float
    unsupported: tuple[str, ...] = ()
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    tag: Literal["paid"] = "paid"


@dataclass(frozen=True)
class AnswerRoom:
    """How many tokens a written answer may have, its end included."""

    max_tokens: int
    tag: Literal["answer-room"] = "answer-room"


class Unit(StrEnum):
    """What fitting goes through, and may not come to the end of."""

    EPOCHS = "epochs"
    STEPS = "steps"
    EXAMPLES = "training examples"
    WINDOWS = "windows of texts"
    SETTINGS = "settings"  # points of a grid
    PROMPTS = "prompts"


@dataclass(frozen=True)
class Cut:
    """Fitting ended at its time limit, after `done` of `planned` units of work.

    `improving` says whether dev was still getting better then; None where that was not measured: nobody knows then what
    the rest would have brought.
    """

    done: float
    planned: float
    unit: Unit
    improving: bool | None = None
    tag: Literal["cut"] = "cut"


def cut_short(done: float, planned: float, unit: Unit, *, improving: bool | None = None) -> tuple[Cut, ...]:
    """Give the finding of a strategy that stopped at its time limit; none where all was done."""
    return () if done >= planned else (Cut(done, planned, unit, improving),)


def cut_training(points: Sequence[TrainingPoint], best_step: int, max_epochs: int) -> tuple[Cut, ...]:
    """Say how far a training came that its time limit ended.

    It was improving where the last point is the best. One measurement that is worse may be noise: nobody knows.
    """
    last, since = points[-1], sum(point.step > best_step for point in points)
    unknown = (last.dev_loss is None and last.dev_score is None) or since == 1
    return cut_short(last.epoch, max_epochs, Unit.EPOCHS, improving=None if unknown else since == 0)


@dataclass(frozen=True)
class FittedAgain:
    """This is a second fit, with time that others left; the first one took `first_seconds` and was cut at its limit."""

    first_seconds: float
    tag: Literal["fitted-again"] = "fitted-again"


CASCADE_JOINT = "-else-"
"""Stands between the names of a cascade's members."""


def cascade_name(first: str, then: str) -> str:
    """Name a strategy composed of two; the name is safe in file names and shells."""
    return f"{first}{CASCADE_JOINT}{then}"


@dataclass(frozen=True)
class TriedThreshold:
    """A threshold of a cascade, the share of dev that it passes on, and the cascade's dev score with it."""

    threshold: float
    passed_on: float
    score: float


@dataclass(frozen=True)
class CascadeTrace:
    """Which two strategies a cascade is made of, and how its threshold was chosen by `metric` on dev.

    `first` answers what it gives a probability of at least `threshold`, `then` the rest. `first_score` and `then_score`
    are those of the two alone.
    """

    first: str
    then: str
    threshold: float
    passed_on: float
    metric: str
    dev_examples: int
    first_score: float
    then_score: float
    tried: tuple[TriedThreshold, ...]
    folds: int
    tag: Literal["cascade"] = "cascade"

    @property
    def name(self) -> str:
        """Name the composed strategy."""
        return cascade_name(self.first, self.then)


FitFinding = Annotated[
    SearchTrace
    | CalibrationTrace
    | TrainingCurve
    | PreferenceStage
    | GridTrace
    | PaidFitting
    | AnswerRoom
    | CascadeTrace
    | LongInputs
    | LayerChanges
    | PreTrained
    | Cut
    | FittedAgain,
    Field(discriminator="tag"),
]
FIT_FINDINGS: TypeAdapter[tuple[FitFinding, ...]] = TypeAdapter(tuple[FitFinding, ...])

Wanted = TypeVar("Wanted")


def finding(findings: Sequence[Any], kind: type[Wanted]) -> Wanted | None:
    """Return the first finding of that class, or None."""
    return next((each for each in findings if isinstance(each, kind)), None)
