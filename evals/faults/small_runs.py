"""A small real run that takes seconds, processes forked to make it, and what of a run does not depend on time.

Not covered: what is done to the runs (the scripts beside this file).
"""

import contextlib
import json
import os
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmtl.cli.entry import main

WORDS = {
    "billing": ("invoice", "refund", "charge", "payment", "receipt"),
    "bug": ("crash", "error", "broken", "freeze", "blank"),
    "other": ("hello", "thanks", "question", "idea", "opening hours"),
}
RECIPE = """name: small
data: {path: rows.csv, text: text, label: label}
model: {name: pocket-llama}
encoder: null
strategies: STRATEGIES
learning_curve: {enabled: false}
"""
_TIMED = re.compile(r"usd|_ms$|seconds|written_at|spending|value_of_accuracy|break_even|gpu_hours|totals|machines")
"""Keys of `decision.json` that hold times, and costs that follow from times."""
_TIMED_WORDS = re.compile(r"\$|\bms\b|\bUSD\b|seconds")


def write_recipe(folder: Path, *, rows: int = 240, seed: int = 0, strategies: str = "{run: [majority, tfidf]}") -> Path:
    """Write a recipe with labelled rows, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance, every = random.Random(seed), [word for words in WORDS.values() for word in words]
    lines = ["text,label"]
    for number in range(rows):
        label = chance.choice(sorted(WORDS))
        words = [chance.choice(WORDS[label] if chance.random() < 0.6 else every) for _ in range(6)]
        lines.append(f"{' '.join(words)} {number},{label}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "recipe.yaml").write_text(RECIPE.replace("STRATEGIES", strategies), encoding="utf-8")
    return folder


def started(arguments: list[str], log: Path, *, first: Callable[[], None] | None = None) -> int:
    """Carry out a command in a fork of this process and return its id; `first` is called there before."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with (
            log.open("a", encoding="utf-8") as file,
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            if first is not None:
                first()
            code = main(arguments)
    except BaseException as error:  # noqa: BLE001  # a fork must not go on as its parent
        with log.open("a", encoding="utf-8") as file:
            file.write(f"Traceback: {type(error).__name__}: {error}\n")
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a process; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished(arguments: list[str], log: Path, *, first: Callable[[], None] | None = None) -> int:
    """Carry out a command in a fork to its end and return its exit code."""
    return ended(started(arguments, log, first=first))


def essence(folder: Path) -> dict[str, Any]:
    """Gather all that a run decided and answered, without times and what costs follow from times."""
    decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    return {
        "decision": _untimed(decision),
        "data": {path.name: path.read_text(encoding="utf-8") for path in sorted((folder / "data").glob("*.jsonl"))},
        "predictions": {path.name: _answers(path) for path in sorted((folder / "predictions").glob("*.jsonl"))},
    }


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(item) for key, item in value.items() if not _TIMED.search(key)}
    if isinstance(value, list):
        return [_untimed(item) for item in value if not (isinstance(item, str) and _TIMED_WORDS.search(item))]
    return value


def _answers(path: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def told_of_a_traceback(log: Path) -> bool:
    """Tell whether a command ended with anything but one line."""
    return log.is_file() and "Traceback" in log.read_text(encoding="utf-8", errors="replace")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
