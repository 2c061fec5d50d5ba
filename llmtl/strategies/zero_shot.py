"""The `zero-shot` strategy: the instruction, the labels and the input; the wording of the instruction chosen on dev.

The best wording is also asked with the labels in several orders, and the mean of the answers is kept where it scores
better. Not covered: inventing wordings for a task.
"""

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from llmtl.errors import ContextLengthError
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import PromptConfig
from llmtl.prompting.demonstrations import stratified
from llmtl.prompting.fitted import answer_finding, fixed, read_prompt
from llmtl.prompting.instructions import wordings
from llmtl.prompting.prompts import Prompts
from llmtl.prompting.search import Candidate, search
from llmtl.prompting.search_time import calibration_inputs, compared_on
from llmtl.strategy import Facts, FitContext, Fitted, Predictor, PromptServed, Role, Runs, Strategy


class ZeroShotConfig(PromptConfig):
    """The choices of the `zero-shot` strategy: the wordings of the instruction that are tried on dev."""

    rotations: int = Field(
        default=4,
        ge=1,
        description="The best wording is also tried with the labels listed in so many rotated orders, the log-"
        "probabilities of the labels averaged over them (classification): models lean to labels by their places in the "
        "list (Zheng et al. 2024). It costs as many prompts per input, and is kept only where it scores better on dev. "
        "Served by `llmtl serve`, not by stock vLLM; 1 turns it off.",
    )


class ZeroShot(Strategy[ZeroShotConfig]):
    """Equal dev scores go to one order of the labels, then to the earlier wording, the task's own first."""

    section = ZeroShotConfig
    facts = Facts(
        name="zero-shot",
        title="Prompt without examples",
        advice="Prompt {model} with an instruction alone",
        role=Role.PROMPTING,
        served=PromptServed,
        runs=Runs.BASE_MODEL,
        learns_from_train=False,
        fit_weight=4,
        prompts=1,
        races=True,
        plain_prompt=True,
        made_with="transformers",
        is_made_by="prompting the base model",
        summary="The instruction and the labels.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Choose the wording that scores best on dev.

        Raises `ContextLengthError` when instruction and labels alone overflow the context.
        """
        prompts = Prompts(context)
        told = [wording for wording in wordings(context.task, self.config) if _fits(prompts, wording)]
        if not told:
            raise _too_long(prompts, context.task.instruction)
        candidates = [
            Candidate(0, context.seed, prompts.predictor(wording), index) for index, wording in enumerate(told)
        ]
        dev = stratified(context.dev, count=self.config.dev_examples, seed=context.seed, kind=context.task.kind)
        found = search(
            candidates,
            dev,
            context,
            name=self.name,
            instructions=told,
            further=[lambda best: _rotated(prompts, best, told[best.instruction], self.config.rotations)],
        )
        calibration, calibrated = calibrate(
            self.config.calibration,
            context,
            found.best.predictor,
            dev=found.dev,
            predictions=found.predictions,
            spare=context.train,
        )
        prompt = PromptServed(
            instruction=found.instruction,
            calibration=calibration,
            max_tokens=prompts.max_tokens(found.instruction),
            rotations=found.best.rotations,
        )
        trace = found.trace(context.task.metric.value)
        return Fitted(fixed(context, prompt), (trace, *calibrated, *answer_finding(prompt)))

    def forecast(self, context: FitContext) -> float | None:
        """Forecast asking all wordings, and the best in several orders of the labels with what that costs later on."""
        if context.speed is None:
            return None
        task, inputs = context.task, compared_on(context, self.config)
        orders = min(self.config.rotations, len(task.labels)) if task.kind.one_label else 1
        # as in `llmtl.prompting.search`: a prompt in several orders must leave time to ask it on dev and test
        rotated = orders * inputs + (orders - 1) * 2 * len(context.dev) if orders > 1 else 0
        asked = len(wordings(task, self.config)) * inputs + rotated + calibration_inputs(context, self.config)
        return asked * context.speed.prompt

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the wording and the calibration."""
        return fixed(context, read_prompt(context, folder))


def _rotated(prompts: Prompts, best: Candidate, instruction: str, most: int) -> list[Candidate]:
    """List the best wording with its labels in several orders, where answers are labels that have probabilities."""
    task = prompts.context.task
    orders = min(most, len(task.labels)) if task.kind.one_label else 1
    if orders == 1:
        return []
    return [replace(best, predictor=prompts.predictor(instruction, rotations=orders), rotations=orders)]


def _fits(prompts: Prompts, instruction: str) -> bool:
    """Say whether the instruction and the labels fit the context."""
    return prompts.tokens(instruction, "") <= prompts.room(instruction)


def _too_long(prompts: Prompts, instruction: str) -> ContextLengthError:
    """Word the error for an instruction that leaves no room."""
    return ContextLengthError(
        f"The instruction with its {len(prompts.context.task.labels)} labels has {prompts.tokens(instruction, '')} "
        f"tokens and the model's context leaves room for {prompts.room(instruction)}; shorten the label names or use a "
        "model with a longer context."
    )
