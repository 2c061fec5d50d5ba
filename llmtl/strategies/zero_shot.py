"""The `zero-shot` strategy: the instruction, the labels and the input; the wording of the instruction chosen on dev.

Not covered: inventing wordings for a task.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from llmtl.errors import ContextLengthError
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import ZeroShotConfig
from llmtl.prompting.demonstrations import stratified
from llmtl.prompting.instructions import wordings
from llmtl.prompting.prompts import Prompts, calibration_of, instruction_of
from llmtl.prompting.search import Candidate, search
from llmtl.strategy import FitContext, Predictor, Role


@dataclass(frozen=True)
class ZeroShot:
    """The strategy; equal dev scores go to the earlier wording, the task's own first."""

    config: ZeroShotConfig = field(default_factory=ZeroShotConfig)

    name: ClassVar[str] = "zero-shot"
    role: ClassVar[Role] = Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the wording that scores best on dev.

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
        found = search(candidates, dev, context, name=self.name, instructions=told)
        calibration, facts = calibrate(
            self.config.calibration,
            context,
            found.best.predictor,
            dev=found.dev,
            predictions=found.predictions,
            spare=context.train,
        )
        details = {**found.details(context.task.metric), **facts}
        return prompts.predictor(found.instruction, calibration=calibration, details=details)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored wording and calibration."""
        return Prompts(context).predictor(instruction_of(state, context), calibration=calibration_of(state))


def _fits(prompts: Prompts, instruction: str) -> bool:
    """Return whether the instruction and the labels fit the context."""
    return prompts.tokens(instruction, "") <= prompts.room(instruction)


def _too_long(prompts: Prompts, instruction: str) -> ContextLengthError:
    """Return the error for an instruction that leaves no room."""
    return ContextLengthError(
        f"The instruction with its {len(prompts.context.task.labels)} labels has {prompts.tokens(instruction, '')} "
        f"tokens and the model's context leaves room for {prompts.room(instruction)}; shorten the label names or use a "
        "model with a longer context."
    )
