"""One model's prompts in every wording of the instruction: what all prompting strategies make predictors from.

Not covered: choosing wordings and demonstrations (`search`), the wording itself (`llmtl.prompting.template`).
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.engines.protocol import Engine
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.prompting.predictors import Asker, Demonstrations, answer_room, no_demonstrations, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.strategy import FitContext
from llmtl.task import Example


class Prompts:
    """Predictors of one engine for the context's task.

    Written answers may have `max_tokens`; None works that out from train.
    """

    def __init__(self, context: FitContext, engine: Engine | None = None, *, max_tokens: int | None = None) -> None:
        self.context = context
        self.engine: Engine = engine if engine is not None else context.load_engine(None)
        self._given = max_tokens
        self._templates: dict[str, Template] = {}
        self._rooms: dict[str, int] = {}

    def template(self, instruction: str) -> Template:
        """Make the template that says `instruction`."""
        if instruction not in self._templates:
            self._templates[instruction] = Template(replace(self.context.task, instruction=instruction), self.engine)
        return self._templates[instruction]

    def predictor(
        self,
        instruction: str,
        demonstrations: Demonstrations = no_demonstrations,
        *,
        calibration: LabelCalibration | None = None,
    ) -> Asker:
        """Make the predictor that says `instruction`."""
        return prompt_predictor(
            self.context.task,
            self.engine,
            self.template(instruction),
            max_tokens=self.max_tokens(instruction),
            demonstrations=demonstrations,
            calibration=calibration,
        )

    def max_tokens(self, instruction: str) -> int | None:
        """Say how many tokens a written answer may have; None where labels are scored."""
        if self._given is not None:
            return self._given
        return answer_room(self.engine, self.template(instruction), self.context.train)

    def room(self, instruction: str) -> int:
        """Say how many tokens a prompt may have, at most."""
        if instruction not in self._rooms:
            self._rooms[instruction] = self.predictor(instruction).prompt_room()
        return self._rooms[instruction]

    def tokens(self, instruction: str, text: str, shown: Sequence[Example] = ()) -> int:
        """Count the tokens of a prompt."""
        return self.engine.count_tokens(self.template(instruction).prompt(text, shown))
