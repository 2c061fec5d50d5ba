"""One model's prompts in every wording of the instruction: what all prompting strategies make predictors from.

Not covered: choosing wordings and demonstrations (`search`), the wording itself (`llmtl.prompting.template`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from llmtl.engines.protocol import Engine
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.prompting.predictors import Demonstrations, PromptedPredictor, no_demonstrations, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.strategy import FitContext
from llmtl.task import Example


class Prompts:
    """Predictors of one engine for the context's task."""

    def __init__(self, context: FitContext, engine: Engine | None = None) -> None:
        self.context = context
        self.engine: Engine = engine if engine is not None else context.load_engine(None)
        self._templates: dict[str, Template] = {}
        self._rooms: dict[str, int] = {}

    def template(self, instruction: str) -> Template:
        """Return the template that says `instruction`."""
        if instruction not in self._templates:
            self._templates[instruction] = Template(replace(self.context.task, instruction=instruction), self.engine)
        return self._templates[instruction]

    def predictor(
        self,
        instruction: str,
        demonstrations: Demonstrations = no_demonstrations,
        *,
        state: Mapping[str, Any] | None = None,
        calibration: LabelCalibration | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> PromptedPredictor:
        """Return the predictor; its state is `state` with the instruction and the calibration."""
        kept = {"instruction": instruction} | ({} if calibration is None else {"calibration": asdict(calibration)})
        return prompt_predictor(
            self.context.task,
            self.engine,
            self.template(instruction),
            train=self.context.train,
            demonstrations=demonstrations,
            state={**(state or {}), **kept},
            details=details or {},
            calibration=calibration,
        )

    def room(self, instruction: str) -> int:
        """Return the largest number of tokens that a prompt may have."""
        if instruction not in self._rooms:
            self._rooms[instruction] = self.predictor(instruction).prompt_room()
        return self._rooms[instruction]

    def tokens(self, instruction: str, text: str, shown: Sequence[Example] = ()) -> int:
        """Return the number of tokens of a prompt."""
        return self.engine.count_tokens(self.template(instruction).prompt(text, shown))


def instruction_of(state: Mapping[str, Any], context: FitContext) -> str:
    """Return the instruction in a stored state."""
    return str(state.get("instruction", context.task.instruction))


def calibration_of(state: Mapping[str, Any]) -> LabelCalibration | None:
    """Return the calibration in a stored state, or None."""
    kept = state.get("calibration")
    if kept is None:
        return None
    return LabelCalibration(Method(kept["method"]), tuple(kept["scale"]), tuple(kept["bias"]))
