"""The `many-shot` strategy: as many demonstrations as the context holds, balanced, the same for every input.

After Agarwal et al. (2024), "Many-Shot In-Context Learning". The long beginning is the same for every input, so a
server computes it once and keeps it (prefix cache). Not covered: choosing their number (`few_shot` tries small ones).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmtl.errors import ContextLengthError
from llmtl.prompting.config import ManyShotConfig
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, restore_fixed
from llmtl.prompting.instructions import wordings
from llmtl.prompting.prompts import Prompts
from llmtl.strategy import FitContext, Predictor, Role


@dataclass(frozen=True)
class ManyShot:
    """The strategy; it is left out where the context holds no more than `above` demonstrations."""

    config: ManyShotConfig = field(default_factory=ManyShotConfig)
    above: int = 0

    @property
    def name(self) -> str:
        """Return `many-shot`."""
        return "many-shot"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the largest number of demonstrations, of the draw and wording best on dev.

        Raises `ContextLengthError` when that number is not above what few-shot tries.
        """
        shown = FixedShots(Prompts(context), seeds=self.config.seeds)
        told = wordings(context.task, self.config)
        most = min(self._most(shown, seed, wording) for seed in shown.seeds for wording in told)
        if most <= self.above:
            what = "train has" if most == len(context.train) else "the context has room for"
            raise ContextLengthError(f"There is nothing more than few-shot tries: {what} {most} demonstrations.")
        return fit_fixed(shown, self.config, shots=(most,), name=self.name)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored demonstrations; raises `RunError` when train has changed."""
        return restore_fixed(Prompts(context), state)

    def _most(self, shown: FixedShots, seed: int, instruction: str) -> int:
        """Return how many demonstrations of a seed fit before the longest input, by bisection."""
        room = self.config.context_fraction * shown.prompts.room(instruction)
        low, high = 0, len(shown.context.train)
        while low < high:
            middle = (low + high + 1) // 2
            if shown.prompts.tokens(instruction, shown.longest, shown.shown(seed, middle)) <= room:
                low = middle
            else:
                high = middle - 1
        return low
