"""The wordings of an instruction that are tried on dev: the task's own, the recipe's others, and those of its kind.

Which wording is best differs between models and cannot be told beforehand (Sclar et al. 2024, "Quantifying Language
Models' Sensitivity to Spurious Features in Prompt Design"). Not covered: inventing wordings for a task.
"""

from llmtl.findings import SearchTrace, finding
from llmtl.prompting.config import PromptConfig
from llmtl.strategy import FitContext
from llmtl.task import Task


def wordings(task: Task, config: PromptConfig) -> tuple[str, ...]:
    """List the instructions to try, each once; the task's own comes first."""
    general = task.kind.instructions if config.built_in_instructions else ()
    return tuple(dict.fromkeys((task.instruction, *config.instructions, *general)))


def settled_wordings(context: FitContext, config: PromptConfig) -> tuple[str, ...]:
    """List the instructions to try; for another draw the one that the first fit chose."""
    settled = finding(context.earlier, SearchTrace)
    if settled is None:
        return wordings(context.task, config)
    return (settled.instructions[settled.instruction],)
