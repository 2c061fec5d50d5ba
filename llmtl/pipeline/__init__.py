"""The stages of a run in order, and the run folder as an object: the only place that wires implementations together."""

from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.stages import execute
from llmtl.pipeline.start import run

__all__ = ["Run", "execute", "load_run", "run"]
