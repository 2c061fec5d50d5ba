"""A small data file, and the check that a command was refused in one line."""

import csv
from pathlib import Path

import pytest

from llmtl.cli import main

ROWS = [(f"please refund order {number} to my account", "refund") for number in range(20)] + [
    (f"my card {number * 37} was lost on the train", "card lost") for number in range(20)
]
COLUMNS = ("--text", "text", "--label", "label", "--model", "pocket-llama")
RULES = ("strategies.run=[majority]", "learning_curve.enabled=false")


def write(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, command: str = "run") -> str:
    """Return the one line that the command printed to stderr; checks exit code and that nothing was written."""
    assert main([command, *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("llmtl: ")
    assert printed.count("\n") == 1
    assert "Traceback" not in printed
    assert not Path("runs").exists()
    return printed
