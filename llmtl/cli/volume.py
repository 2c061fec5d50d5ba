"""How much a command says, and in which form: the options that commands share.

Not covered: what a command answers (its own file).
"""

import argparse
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from llmtl.progress import Progress


def add_json(parser: "argparse._ActionsContainer", what: str) -> None:
    """Add `--json`, for machines: `what` is printed as JSON, and nothing else to stdout."""
    parser.add_argument("--json", action="store_true", help=f"print {what} as JSON, and nothing else to stdout")


def add_volume(parser: argparse.ArgumentParser) -> None:
    """Add `--quiet` and `--verbose`, of which one may be given."""
    volume = parser.add_mutually_exclusive_group()
    add_quiet(volume)
    volume.add_argument("--verbose", action="store_true", help="say every step on a line of its own")


def add_quiet(parser: "argparse._ActionsContainer") -> None:
    """Add `--quiet` alone, for commands whose work has no steps."""
    parser.add_argument("--quiet", action="store_true", help="say nothing beside the result")


def console_of(options: argparse.Namespace) -> "Console":
    """Make the console that results and steps go to; with `--json` steps go to stderr."""
    from rich.console import Console

    return Console(stderr=options.json, force_terminal=False if options.verbose else None)


def progress_on(console: "Console", options: argparse.Namespace) -> "AbstractContextManager[Progress]":
    """Show progress on the console, or nothing with `--quiet`."""
    from llmtl.progress import Silent
    from llmtl.report.terminal import TerminalProgress

    return nullcontext(Silent()) if options.quiet else TerminalProgress(console)
