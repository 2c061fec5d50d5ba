"""The `few-shot` strategy: one set of demonstrations, the same for every input, chosen on dev with the instruction.

Candidates are numbers of demonstrations times seeds with the task's own instruction (see `demonstrations` for how a
seed draws), then the other wordings times seeds with the best number. A number is tried only if it leaves room for the
longest train or dev input. Not covered: demonstrations chosen for an input (`knn_few_shot`), as many as fit
(`many_shot`), optimising their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmtl.prompting.config import FewShotConfig
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, restore_fixed
from llmtl.prompting.prompts import Prompts
from llmtl.strategy import FitContext, Predictor, Role


@dataclass(frozen=True)
class FewShot:
    """The strategy; equal dev scores go to fewer demonstrations."""

    config: FewShotConfig = field(default_factory=FewShotConfig)

    @property
    def name(self) -> str:
        """Return `few-shot`."""
        return "few-shot"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the demonstrations and the wording that score best on dev.

        Raises `ContextLengthError` when no number of demonstrations leaves room for the longest input.
        """
        shown = FixedShots(Prompts(context), seeds=self.config.seeds)
        return fit_fixed(shown, self.config, shots=self.config.shots, name=self.name)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored demonstrations; raises `RunError` when train has changed."""
        return restore_fixed(Prompts(context), state)
