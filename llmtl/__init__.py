"""llmtl answers one question with evidence: for my labelled data and my model, should I prompt or fine-tune?

    import llmtl
    run = llmtl.run(frame, text="message", label="queue", model="smollm2")
    print(run.decision.verdict, run.summary.reason)
    run.predict(["the machine kept my card"])

Names load at first use, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmtl.version import __version__ as __version__

if TYPE_CHECKING:
    from llmtl import strategies
    from llmtl.decision.outcome import Decision, Verdict
    from llmtl.errors import InputError, LlmtlError
    from llmtl.measured.evaluation import Evaluation
    from llmtl.pipeline import Run, load_run, run
    from llmtl.pipeline.classifier import Classifier
    from llmtl.pipeline.decide_rows import decide
    from llmtl.pipeline.export import export
    from llmtl.pipeline.playground import playground
    from llmtl.pipeline.searching import search
    from llmtl.settings import Recipe, load_recipe
    from llmtl.strategy import Prediction, Role
    from llmtl.task import Example, Split, Task

__all__ = [
    "Classifier",
    "Decision",
    "Evaluation",
    "Example",
    "InputError",
    "LlmtlError",
    "Prediction",
    "Recipe",
    "Role",
    "Run",
    "Split",
    "Task",
    "Verdict",
    "decide",
    "export",
    "load_recipe",
    "load_run",
    "playground",
    "run",
    "search",
    "strategies",
]

_HOMES = {
    "Classifier": "pipeline.classifier",
    "Decision": "decision.outcome",
    "Evaluation": "measured.evaluation",
    "Example": "task",
    "InputError": "errors",
    "LlmtlError": "errors",
    "Prediction": "strategy",
    "Recipe": "settings",
    "Role": "strategy",
    "Run": "pipeline",
    "Split": "task",
    "Task": "task",
    "Verdict": "decision.outcome",
    "decide": "pipeline.decide_rows",
    "export": "pipeline.export",
    "load_recipe": "settings",
    "load_run": "pipeline",
    "playground": "pipeline.playground",
    "run": "pipeline",
    "search": "pipeline.searching",
    "strategies": "strategies",
}


def __getattr__(name: str) -> Any:
    """Return a public name, importing its module at first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'llmtl' has no attribute '{name}'")
    home = import_module(f"llmtl.{_HOMES[name]}")
    value = home if _HOMES[name] == name else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return [*__all__, "__version__"]
