"""The one place that turns an example into messages and a prompt, and what a model writes into an answer and back.

    template.py  the wording of one task for one model
    forms.py     how the answers of each kind of task are written, read and held to a schema
    places.py    where the spans that a model names stand in the input

Training, evaluation and serving all word their text here, so that a tuned model sees in service what it was trained on.
Not covered: tokens (the engines turn text into tokens).
"""

from llmtl.templates.template import TURN_MARKERS, PromptModel, Template

__all__ = ["TURN_MARKERS", "PromptModel", "Template"]
