"""What a command declares about itself. Not covered: carrying it out (one file per command)."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass


def _no_options(parser: argparse.ArgumentParser) -> None:
    """Add no option: the command takes none."""


@dataclass(frozen=True)
class Command:
    """One command of `llmtl`.

    `carry_out` gets the parsed options and returns the exit code. Further words, wherever they stand, join the
    positional called `rest`. With `passes_on`, what follows `--` is kept as `passed_on`. `resumes`: calling it again
    after an interruption goes on from there. `examples` stand at the end of its help.
    """

    name: str
    help: str
    carry_out: Callable[[argparse.Namespace], int]
    add_options: Callable[[argparse.ArgumentParser], None] = _no_options
    usage: str | None = None
    description: str | None = None
    epilog: str | None = None
    examples: tuple[str, ...] = ()
    rest: str | None = None
    passes_on: bool = False
    resumes: bool = False
