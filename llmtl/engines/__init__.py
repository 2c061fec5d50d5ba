"""What runs a language model: the `Engine` protocol; implementations are imported by their own names."""

from llmtl.engines.protocol import Engine, LabelScores, ModelSource

__all__ = ["Engine", "LabelScores", "ModelSource"]
