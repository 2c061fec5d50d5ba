"""The wordings of an instruction that are tried on dev: the task's own, the recipe's others, three general ones.

Which wording is best differs between models and cannot be told beforehand (Sclar et al. 2024, "Quantifying Language
Models' Sensitivity to Spurious Features in Prompt Design"). Not covered: inventing wordings for a task.
"""

from collections.abc import Mapping
from types import MappingProxyType

from llmtl.prompting.config import PromptConfig
from llmtl.task import INSTRUCTIONS, Task, TaskKind

BUILT_IN: Mapping[TaskKind, tuple[str, ...]] = MappingProxyType(
    {
        TaskKind.CLASSIFICATION: (
            INSTRUCTIONS[TaskKind.CLASSIFICATION],
            "Read the message and decide which of the labels fits it best. Reply with that label and nothing else.",
            "What is this message about? Choose exactly one of the labels below.",
        ),
        TaskKind.MULTI_LABEL: (
            INSTRUCTIONS[TaskKind.MULTI_LABEL],
            "Read the message and list every label that applies to it, as a JSON list. If none applies, write [].",
            "Which of the labels below describe this message? Reply with a JSON list of them and nothing else.",
        ),
        TaskKind.EXTRACTION: (
            INSTRUCTIONS[TaskKind.EXTRACTION],
            "Find every span of the types below in the message, in the order of the text. Reply with a JSON list.",
            "Copy each piece of the message that is of one of the types below, as a JSON list. If there is none, "
            "write [].",
        ),
        TaskKind.GENERATION: (
            INSTRUCTIONS[TaskKind.GENERATION],
            "Read the input and write the output that belongs to it. Reply with the output alone.",
            "Turn the input into the output text, in the manner of the examples where there are any.",
        ),
    }
)
"""Three wordings a kind of task; the first is what the model is told when the recipe says nothing."""


def wordings(task: Task, config: PromptConfig) -> tuple[str, ...]:
    """Return the instructions to try, each once; the task's own comes first."""
    general = BUILT_IN[task.kind] if config.built_in_instructions else ()
    return tuple(dict.fromkeys((task.instruction, *config.instructions, *general)))
