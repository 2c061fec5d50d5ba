"""The `few-shot` strategy: one set of demonstrations, the same for every input, chosen on dev with the instruction.

Candidates are numbers of demonstrations times seeds with the task's own instruction (see `demonstrations` for how a
seed draws), then the other wordings times seeds with the best number. A number is tried only if it leaves room for the
longest train or dev input. Not covered: demonstrations chosen for an input (`knn_few_shot`), as many as fit
(`many_shot`), optimising their order.
"""

from pathlib import Path

from pydantic import Field

from llmtl.prompting.config import SEEDS, PromptConfig, Shots
from llmtl.prompting.fitted import fixed, read_prompt
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, forecast_fixed, settled_shots
from llmtl.prompting.prompts import Prompts
from llmtl.strategy import Facts, FitContext, Fitted, Predictor, PromptServed, Role, Runs, Strategy
from llmtl.task import Draw


class FewShotConfig(PromptConfig):
    """The choices of the `few-shot` strategy: the candidates that are tried on dev."""

    shots: tuple[Shots, ...] = Field(
        default=(4, 8, 16, 32),
        min_length=1,
        description="Numbers of demonstrations to try; those that do not fit the context are left out, and those above "
        "the number of training examples are cut to it.",
    )
    seeds: int = Field(default=3, ge=1, le=1000, description=SEEDS)


class FewShot(Strategy[FewShotConfig]):
    """Equal dev scores go to fewer demonstrations."""

    section = FewShotConfig
    facts = Facts(
        name="few-shot",
        title="Prompt with examples",
        advice="Prompt {model} with a few examples",
        role=Role.PROMPTING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        fit_weight=12,
        prompts=1,
        races=True,
        draw=Draw.DEMONSTRATIONS,
        redraw=0.25,
        has_curve=True,
        made_with="transformers",
        is_made_by="prompting the base model",
        summary="The same demonstrations for every input.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Choose the demonstrations and the wording that score best on dev.

        Raises `ContextLengthError` when no number of demonstrations leaves room for the longest input.
        """
        shown = FixedShots(Prompts(context), seeds=self.config.seeds)
        shots = settled_shots(context, self.config.shots)
        prompt, findings = fit_fixed(shown, self.config, shots=shots, name=self.name)
        return Fitted(fixed(context, prompt), findings)

    def forecast(self, context: FitContext) -> float | None:
        """Forecast asking all numbers that fit the context, then all wordings with the largest."""
        return forecast_fixed(FixedShots(Prompts(context), seeds=self.config.seeds), self.config, self.config.shots)

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load demonstrations and wording; raises `RunError` when train has changed."""
        return fixed(context, read_prompt(context, folder))
