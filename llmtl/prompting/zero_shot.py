"""The `zero-shot` strategy: the instruction, the labels and the input.

Not covered: rewording the instruction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmtl.errors import ContextLengthError
from llmtl.label_predictor import PromptPredictor
from llmtl.predictor import FitContext, Predictor, Role
from llmtl.templates import Template


@dataclass(frozen=True)
class ZeroShot:
    """The strategy; there is nothing to choose."""

    @property
    def name(self) -> str:
        """Return `zero-shot`."""
        return "zero-shot"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor; raises `ContextLengthError` when instruction and labels alone overflow the context."""
        engine = context.load_engine(None)
        template = Template(context.task, engine)
        predictor = PromptPredictor(context.task, engine, template)
        needed, room = engine.count_tokens(template.prompt("")), predictor.prompt_room()
        if needed > room:
            raise ContextLengthError(
                f"The instruction with its {len(context.task.labels)} labels has {needed} tokens and the model's "
                f"context leaves room for {room}; shorten the label names or use a model with a longer context."
            )
        return predictor

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the same predictor."""
        del state
        return self.fit(context)
