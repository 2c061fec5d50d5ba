"""What a strategy is given, what fitting returns, and what predicting yields: the seam all strategies share.

A strategy sees train and dev only; nothing here can reach the test split. Not covered: which strategies exist
(`llmtl.strategies.table`), scoring (`llmtl.measured.evaluation`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from llmtl.costs import PriceConfig
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.progress import Advance, Progress, Silent
from llmtl.task import Example, Input, Task


class Role(StrEnum):
    """What a strategy stands for in the decision; `features` is a frozen model with a trained head."""

    BASELINE = "baseline"
    PROMPTING = "prompting"
    FEATURES = "features"
    TUNING = "tuning"


class Shape(StrEnum):
    """The shape of a role's mark in charts."""

    SQUARE = "square"
    CIRCLE = "circle"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"


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
}
"""The one table that wording, charts, style sheets and the choice between equally cheap strategies read."""


@dataclass(frozen=True)
class Prediction:
    """One predicted canonical answer, or a recorded failure (`answer` None and `failure` saying why).

    `probabilities` has one entry a label of the task and sums to 1 (classification), or is empty: after a failure,
    where the model tells none, and for other kinds of task. `dropped_spans` counts what a model extracted that is not
    in the input. Token counts are 0 for strategies without a language model. `seconds` is this input's share of its
    batch's wall time.
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


@dataclass(frozen=True)
class Budget:
    """What fitting one strategy may spend; None means no limit."""

    train_seconds: float | None = None


@dataclass(frozen=True)
class FitContext:
    """Everything fitting may use: the task, train and dev examples, a way to load engines, a folder to keep files in.

    `load_engine(adapter)` returns the run's engine for the base model (None) or with a LoRA adapter; engines are cached
    by the caller, so strategies never close them; one that needs the memory for itself calls `release_engines`, after
    which engines loaded before are unusable. `folder` is the strategy's own and exists.
    """

    task: Task
    train: tuple[Example, ...]
    dev: tuple[Example, ...]
    model: ModelSource
    load_engine: Callable[[Path | None], Engine]
    folder: Path
    seed: int = 0
    budget: Budget = Budget()
    prices: PriceConfig = field(default_factory=PriceConfig)
    progress: Progress = field(default_factory=Silent)
    release_engines: Callable[[], None] = lambda: None


class Predictor(Protocol):
    """A fitted strategy."""

    def predict(self, inputs: Sequence[Input], *, advance: Advance = ...) -> list[Prediction]:
        """Return one prediction per input, in order, with `id` left as its position ("0", "1", ...).

        Raises `InputError` for an input of another sort than the strategy takes.
        """

    def state(self) -> dict[str, Any]:
        """Return JSON-able choices from which `Strategy.restore` rebuilds this predictor (files stay in the folder)."""

    def details(self) -> dict[str, Any]:
        """Return JSON-able facts for the report: what was tried and chosen, learning curve, spread over seeds."""


class Strategy(Protocol):
    """One way to solve the task."""

    @property
    def name(self) -> str:
        """Return the registry name, such as `few-shot`."""

    @property
    def role(self) -> Role:
        """Return what the strategy stands for."""

    def fit(self, context: FitContext) -> Predictor:
        """Return a predictor fitted on train and tuned on dev."""

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor whose `state()` was stored, without fitting again."""
