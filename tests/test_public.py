"""The public face."""

import subprocess
import sys

import llmtl


def test_the_public_names_are_pinned_and_sorted():
    assert llmtl.__all__ == [
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
    assert set(dir(llmtl)) == {*llmtl.__all__, "__version__"}


def test_every_public_name_loads_and_stays_the_same_object():
    for name in llmtl.__all__:
        assert getattr(llmtl, name) is getattr(llmtl, name)
    assert callable(llmtl.run)


def test_importing_llmtl_and_its_command_line_pulls_in_nothing_heavy():
    heavy = {"torch", "transformers", "sklearn", "pydantic", "numpy", "pandas", "datasets"}
    code = f"import llmtl, llmtl.cli, sys; print({heavy} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"
