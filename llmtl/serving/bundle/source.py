"""What a bundle is written from: plain values, so that writing one needs no run folder.

Not covered: taking them from a run (`llmtl.pipeline.export`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmtl.decision import Decision
from llmtl.engines.protocol import ModelSource, Precision
from llmtl.errors import BundleError
from llmtl.measured.evaluation import Evaluation
from llmtl.report import Summary
from llmtl.serving.bundle.hosted import HostedWinner
from llmtl.strategy import Predictor, Role
from llmtl.task import Example, Task


@dataclass(frozen=True)
class Measured:
    """One strategy of a run: what its predictor stated, the folder that fitting filled, what test showed.

    `details` are the predictor's facts for the report; `max_tokens` among them says how long a written answer may be.
    """

    name: str
    role: Role
    state: Mapping[str, Any]
    folder: Path
    test: Evaluation
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def adapter(self) -> Path | None:
        """Return the folder of its LoRA adapter, or None."""
        return self.folder / self.state["adapter"] if "adapter" in self.state else None


@dataclass(frozen=True)
class BundleSource:
    """Everything a bundle is written from.

    `winner` names the strategy to serve; `strategies` are all that were measured. `model` says where the language model
    is, `model_name` how the recipe calls it, `device` (`cpu` or `cuda`) where it was measured. `predictor` is the
    winner's, given only when it is not a language model; `hosted` is the winner's model, given when a provider has it.
    `provenance` are the run's name-value pairs, `sizes` the numbers of examples a split. `made_from` tells this source
    from any other.
    """

    task: Task
    winner: str
    strategies: tuple[Measured, ...]
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
    predictor: Predictor | None = None
    hosted: HostedWinner | None = None

    @property
    def served(self) -> Measured:
        """Return the strategy to serve; raises `BundleError` when it was not measured."""
        return self.strategy(self.winner)

    def strategy(self, name: str) -> Measured:
        """Return a measured strategy by its name; raises `BundleError` when it was not measured."""
        found = next((each for each in self.strategies if each.name == name), None)
        if found is None:
            measured = ", ".join(each.name for each in self.strategies)
            raise BundleError(f"The run has no strategy '{name}'; it measured {measured}.")
        return found

    @property
    def dtype(self) -> Precision:
        """Return the number format that the language model was measured in."""
        return self.model.precision(self.device)
