"""The `many-shot` strategy: as many demonstrations as the context holds, balanced, the same for every input.

After Agarwal et al. (2024), "Many-Shot In-Context Learning". The long beginning is the same for every input, so a
server computes it once and keeps it (prefix cache). Not covered: choosing their number (`few_shot` tries small ones).
"""

from pathlib import Path

from pydantic import Field

from llmtl.errors import ContextLengthError
from llmtl.prompting.config import SEEDS, PromptConfig
from llmtl.prompting.fitted import fixed, read_prompt
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, forecast_fixed
from llmtl.prompting.instructions import settled_wordings
from llmtl.prompting.prompts import Prompts
from llmtl.strategies.few_shot import FewShotConfig
from llmtl.strategy import Facts, FitContext, Fitted, Predictor, PromptServed, Role, Runs, Strategy
from llmtl.task import Draw


class ManyShotConfig(PromptConfig):
    """The choices of the `many-shot` strategy: as many demonstrations as fit, for every input the same."""

    context_fraction: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="The part of the model's context that demonstrations and the longest input may fill (Agarwal et "
        "al. 2024, 'Many-Shot In-Context Learning').",
    )
    seeds: int = Field(default=3, ge=1, le=1000, description=SEEDS)


class ManyShot(Strategy[ManyShotConfig]):
    """Left out where the context holds no more demonstrations than few-shot tries."""

    section = ManyShotConfig
    facts = Facts(
        name="many-shot",
        title="Prompt with many examples",
        advice="Prompt {model} with as many examples as fit",
        role=Role.PROMPTING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        fit_weight=10,
        prompts=1,
        races=True,
        draw=Draw.DEMONSTRATIONS,
        redraw=0.25,
        reads=("few-shot",),
        made_with="transformers",
        is_made_by="prompting the base model",
        has_curve=True,
        summary="As many demonstrations as the context holds, always the same.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Take the largest number of demonstrations; choose draw and wording on dev.

        Raises `ContextLengthError` when that number is not above what few-shot tries.
        """
        few = context.others.get("few-shot")
        above = max(few.shots) if isinstance(few, FewShotConfig) else 0
        shown = FixedShots(Prompts(context), seeds=self.config.seeds)
        told = settled_wordings(context, self.config)
        most = min(self._most(shown, seed, wording) for seed in shown.seeds for wording in told)
        if most <= above:
            what = "train has" if most == len(context.train) else "the context has room for"
            raise ContextLengthError(f"There is nothing more than few-shot tries: {what} {most} demonstrations.")
        prompt, findings = fit_fixed(shown, self.config, shots=(most,), name=self.name)
        return Fitted(fixed(context, prompt), findings)

    def forecast(self, context: FitContext) -> float | None:
        """Forecast asking all draws and wordings; attention over so long a beginning may take more."""
        shown = FixedShots(Prompts(context), seeds=self.config.seeds)
        most = self._most(shown, context.seed, context.task.instruction)
        return forecast_fixed(shown, self.config, (most,)) if most else None

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load demonstrations and wording; raises `RunError` when train has changed."""
        return fixed(context, read_prompt(context, folder))

    def _most(self, shown: FixedShots, seed: int, instruction: str) -> int:
        """Find how many demonstrations of a seed fit before the longest input, by bisection."""
        room = self.config.context_fraction * shown.prompts.room(instruction)
        low, high = 0, len(shown.context.train)
        while low < high:
            middle = (low + high + 1) // 2
            if shown.prompts.tokens(instruction, shown.longest, shown.shown(seed, middle)) <= room:
                low = middle
            else:
                high = middle - 1
        return low
