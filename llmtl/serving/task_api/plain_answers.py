"""What a chat says where no language model writes: canonical answers in their written form, and back.

Not covered: reading what a model wrote (`llmtl.prompting.template`), the rows of `/v1/predict` (`llmtl.kinds`).
"""

from llmtl.kinds.kind import Form, Read
from llmtl.task import Task


def plain_form(task: Task) -> Form:
    """Make the form of answers where no language model's control texts have to be broken."""
    return task.kind.form({label: label.strip() for label in task.labels})


def unchanged(text: str) -> str:
    """Leave the text as it is."""
    return text


def said(task: Task, answer: str) -> str:
    """Say a canonical answer as a chat does where no language model writes it."""
    return plain_form(task).write(answer, unchanged)


def heard(task: Task, content: str, text: str) -> Read:
    """Read what a chat without a language model said about the input `text`."""
    stated = content if task.kind.output == "text" else content.strip()
    return plain_form(task).read(stated, text, unchanged)
