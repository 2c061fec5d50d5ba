"""Read the general texts that come with the library.

Passages stand in turns of 25 kinds of text (letters, recipes, news, code comments and so on), so that the first few of
them are of many kinds, too. Not covered: what models make of them (`llmtl.pipeline.general_scores`).
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from llmtl.seals import sha256_of_files

_HERE = Path(__file__).parent
MEASURED = ("passages.txt", "topics.txt", "feelings.txt")
"""The files that are measured on, and never trained on."""
HELD_BACK = 40
"""Passages by which the strength of a remedy is chosen."""


@dataclass(frozen=True)
class ZeroShotTask:
    """A task that a model is asked without examples: `items` are pairs of a text and its label, labels in turns."""

    name: str
    instruction: str
    labels: tuple[str, ...]
    items: tuple[tuple[str, str], ...]


@cache
def passages() -> tuple[str, ...]:
    """List the passages that are measured on."""
    return _blocks("passages.txt")


@cache
def rehearsed() -> tuple[str, ...]:
    """List the passages that may be trained on: none of them is measured on."""
    return _blocks("rehearsed.txt")


@cache
def held_back() -> tuple[str, ...]:
    """List those of `rehearsed` by which the strength of a remedy is chosen: none is trained on then."""
    return rehearsed()[-HELD_BACK:]


@cache
def zero_shot_tasks() -> tuple[ZeroShotTask, ...]:
    """List the tasks that are asked before and after tuning."""
    return (
        _task("topic", "topics.txt", "What is the text about? Answer with one label."),
        _task("feeling", "feelings.txt", "Is the text positive or negative? Answer with one label."),
    )


@cache
def measured_hash() -> str:
    """Hash everything that is measured on (SHA-256, in hexadecimal)."""
    return sha256_of_files(_HERE / name for name in MEASURED)


def _blocks(name: str) -> tuple[str, ...]:
    """Read the blocks between empty lines."""
    text = (_HERE / name).read_text(encoding="utf-8")
    return tuple(block.strip() for block in text.split("\n\n") if block.strip())


def _task(name: str, file: str, instruction: str) -> ZeroShotTask:
    """Read lines of `label: text`."""
    lines = (_HERE / file).read_text(encoding="utf-8").splitlines()
    items = tuple((text.strip(), label) for label, _, text in (line.partition(": ") for line in lines))
    return ZeroShotTask(name, instruction, tuple(sorted({label for _, label in items})), items)
