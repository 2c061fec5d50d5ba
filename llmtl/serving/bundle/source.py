"""What a bundle is written from: plain values, so that writing one needs no run folder.

Not covered: taking them from a run (`llmtl.pipeline.export`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from llmtl.decision.outcome import Decision
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import ModelSource, Precision
from llmtl.errors import BundleError, RunError
from llmtl.measured.evaluation import Evaluation
from llmtl.report import Summary
from llmtl.serving.bundle.manifest import Abstaining
from llmtl.serving.bundle.provider import HostedWinner
from llmtl.strategy import CascadeServed, Facts, LocalServed, Predictor, PromptServed, Served
from llmtl.task import Example, Task


@dataclass(frozen=True)
class MeasuredStrategy:
    """One strategy of a run: its facts, what test showed, the folder that fitting filled, a way to load its predictor.

    It is loaded when a bundle is to have it, and not before. `dev` is what it answered on dev, None where not all of
    that is known.
    """

    facts: Facts
    test: Evaluation
    folder: Path
    load: Callable[[], Predictor]
    dev: Evaluation | None = None

    @property
    def name(self) -> str:
        """Return the strategy's name."""
        return self.facts.name

    @cached_property
    def predictor(self) -> Predictor:
        """Load the predictor; raises `BundleError` when its files are missing or not those that were fitted."""
        try:
            return self.load()
        except RunError as error:
            raise BundleError(str(error)) from error

    @cached_property
    def served(self) -> Served:
        """Say how it is served."""
        return self.predictor.served()

    @property
    def adapter(self) -> Path | None:
        """Name the folder of its LoRA adapter; None without one."""
        return self.served.adapter if isinstance(self.served, PromptServed) else None

    @property
    def prompt(self) -> PromptServed:
        """Say how a language model is prompted; raises `BundleError` where none is."""
        if isinstance(self.served, LocalServed):
            raise BundleError(f"'{self.name}' prompts no language model; export it without --merge.")
        if isinstance(self.served, CascadeServed):
            raise BundleError(f"'{self.name}' is composed of others; export it by itself.")
        return self.served if isinstance(self.served, PromptServed) else self.served.prompt


@dataclass(frozen=True)
class InFront:
    """The first strategy of a cascade with its threshold; `then` names the second one."""

    strategy: MeasuredStrategy
    threshold: float
    then: str


@dataclass(frozen=True)
class BundleSource:
    """Everything a bundle is written from.

    `winner` names the strategy to serve; `strategies` are all that were measured. `model` says where the language model
    is, `model_name` how the recipe calls it, `device` (`cpu` or `cuda`) where it was measured. `hosted` is the winner's
    model, given when a provider has it. `provenance` are the run's name-value pairs, `sizes` the numbers of examples
    per split. `encoder` says which encoder strategies were given. `made_from` tells this source from any other. A
    winner that is a cascade has the test evaluation of the cascade and the predictor of its second member; `first` is
    the first one. `abstaining` says by strategy when it leaves an input to a person, where test showed a threshold for
    that.
    """

    task: Task
    winner: str
    strategies: tuple[MeasuredStrategy, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    model: ModelSource
    model_name: str
    device: str
    decision: Decision
    summary: Summary
    provenance: Mapping[str, str]
    sizes: Mapping[str, int]
    made_from: str
    hosted: HostedWinner | None = None
    first: InFront | None = None
    abstaining: Mapping[str, Abstaining] = field(default_factory=dict)
    encoder: EncoderSource | None = None
    dev: tuple[Example, ...] = ()

    @property
    def run_by_weights(self) -> MeasuredStrategy:
        """Find the strategy that the bundle's weights run: the one to serve, of a cascade its second member."""
        return self.served if self.first is None else self.strategy(self.first.then)

    @property
    def served(self) -> MeasuredStrategy:
        """Find the strategy to serve; raises `BundleError` when it was not measured."""
        return self.strategy(self.winner)

    def strategy(self, name: str) -> MeasuredStrategy:
        """Find a measured strategy by its name; raises `BundleError` when it was not measured."""
        found = next((each for each in self.strategies if each.name == name), None)
        if found is None:
            measured = ", ".join(each.name for each in self.strategies)
            raise BundleError(f"The run has no strategy '{name}'; it measured {measured}.")
        return found

    @property
    def dtype(self) -> Precision:
        """Give the number format that the language model was measured in."""
        return self.model.precision(self.device)
