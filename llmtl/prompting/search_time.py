"""How long a search for prompts would take, from the speed of the model: nothing is asked for it.

A long beginning is taken to be read in proportion to its demonstrations: that attention takes more, the longer it is,
is not foreseen. Not covered: measuring the speed (`llmtl.pipeline.budget`), embedding train to look examples up.
"""

from llmtl.prompting.calibrating import MOST_TRAIN
from llmtl.prompting.config import CalibrationChoice, PromptConfig
from llmtl.strategy import FitContext, PromptSpeed


def shared_seconds(speed: PromptSpeed, shots: int, inputs: int) -> float:
    """Forecast one candidate that shows all inputs the same demonstrations: they are read once."""
    return shots * speed.demonstration + inputs * speed.prompt


def own_seconds(speed: PromptSpeed, shots: int, inputs: int) -> float:
    """Forecast one candidate that shows each input demonstrations of its own."""
    return inputs * (speed.prompt + shots * speed.demonstration)


def compared_on(context: FitContext, config: PromptConfig) -> int:
    """Count the dev examples that candidates are compared on."""
    return min(config.dev_examples, len(context.dev))


def calibration_inputs(context: FitContext, config: PromptConfig) -> int:
    """Count the train examples that are scored to calibrate, at most."""
    off = config.calibration is CalibrationChoice.OFF or not context.task.kind.one_label
    return 0 if off else min(MOST_TRAIN, len(context.train))
