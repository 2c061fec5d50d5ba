"""Which pre-trained model a strategy tunes. Not covered: finding and loading it (`llmtl.pipeline.models`)."""

from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.findings import PreTrained
from llmtl.pipeline.prepare import Prepared
from llmtl.strategy import Facts, Role, Runs


def began_with(facts: Facts, prepared: Prepared) -> tuple[PreTrained, ...]:
    """Say which pre-trained model a strategy tunes, and how many weights it has; nothing where it tunes none."""
    if facts.role is not Role.TUNING or facts.control_of:
        return ()
    recipe = prepared.recipe
    if facts.runs is Runs.BASE_MODEL:
        info = inspect_checkpoint(prepared.source.name, prepared.source.revision)
        return (PreTrained(recipe.model.name, info.parameters),)
    if facts.runs is Runs.ENCODER and prepared.encoder is not None and recipe.encoder is not None:
        return (PreTrained(recipe.encoder.name, inspect_encoder(prepared.encoder).parameters),)
    return ()
