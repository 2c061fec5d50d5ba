"""The playground: try the served winner, see why it won, where it errs, and label a file with it.

    http_client.py     what it asks of the endpoint, through the `openai` client
    page_content.py    what it shows
    shown_answers.py   answers of every kind of task as they are shown
    pages.py           values to HTML, from the templates beside it (*.jinja)
    try_tab.py         a message in, label and probabilities out, side by side with another strategy
    correction_panel.py  in it: the right answer to a wrong one; right_answers.py reads and keeps it
    decision_tab.py    the verdict, the charts and the cost slider
    cost.py            costs and break-even at any volume and price; its chart is cost_chart.py
    errors_tab.py      the confusion matrix and the wrong test predictions
    batch_tab.py       a table in, the same table labelled out; batch.py does the work
    use_tab.py         programs that ask the same endpoint; code_examples.py writes them
    guard.py           who may use it: a login with the API key
    app.py             all of it as one page, served without any call to an outside host
    style.py           theme and style sheet

What asks the endpoint imports no gradio, so that an endpoint that does not answer is told at once; `app` does. Not
covered: users with names; whoever is let in uses the endpoint through it.
"""

from typing import TYPE_CHECKING, Any

from llmtl.address import without_proxy
from llmtl.packages import require
from llmtl.playground.http_client import Endpoint, ServedModel, ServedTask
from llmtl.playground.page_content import PlaygroundContent, StrategyCost, TestRow

if TYPE_CHECKING:
    from llmtl.playground.app import Playground, build, launch

require("The playground", "gradio")

__all__ = [
    "Endpoint",
    "Playground",
    "PlaygroundContent",
    "ServedModel",
    "ServedTask",
    "StrategyCost",
    "TestRow",
    "build",
    "launch",
]


def __getattr__(name: str) -> Any:
    """Return what builds and serves the page, importing gradio, which takes seconds, at first use (PEP 562)."""
    if name not in ("Playground", "build", "launch"):
        raise AttributeError(f"module 'llmtl.playground' has no attribute '{name}'")
    with without_proxy(at_all=True):  # gradio makes a client when it is imported
        from llmtl.playground import app

    return getattr(app, name)
