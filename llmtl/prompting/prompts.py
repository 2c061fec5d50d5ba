"""One model's prompts in every wording of the instruction: what all prompting strategies make predictors from.

Not covered: choosing wordings and demonstrations (`search`), the wording itself (`llmtl.prompting.template`).
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.engines.protocol import Engine
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.prompting.predictors import Asker, Demonstrations, answer_room, no_demonstrations, prompt_predictor
from llmtl.prompting.rotations import RotatedPredictor, label_orders
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
        self._templates: dict[tuple[str, tuple[str, ...]], Template] = {}
        self._rooms: dict[str, int] = {}

    def template(self, instruction: str, labels: tuple[str, ...] | None = None) -> Template:
        """Make the template that says `instruction` and lists `labels` in this order, the task's by default."""
        listed = self.context.task.labels if labels is None else labels
        key = instruction, listed
        if key not in self._templates:
            told = replace(self.context.task, instruction=instruction, labels=listed)
            self._templates[key] = Template(told, self.engine)
        return self._templates[key]

    def predictor(
        self,
        instruction: str,
        demonstrations: Demonstrations = no_demonstrations,
        *,
        calibration: LabelCalibration | None = None,
        rotations: int = 1,
    ) -> Asker:
        """Make the predictor that says `instruction` and asks with the labels in `rotations` orders."""
        if rotations == 1:
            return self._asker(self.template(instruction), demonstrations, calibration)
        orders = label_orders(self.context.task.labels, rotations)
        return RotatedPredictor(
            [self._asker(self.template(instruction, order), demonstrations) for order in orders],
            calibration=calibration,
        )

    def _asker(
        self, template: Template, demonstrations: Demonstrations, calibration: LabelCalibration | None = None
    ) -> Asker:
        """Make the predictor of one template."""
        return prompt_predictor(
            self.context.task,
            self.engine,
            template,
            max_tokens=self.max_tokens(template.task.instruction),
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
