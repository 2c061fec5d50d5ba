"""Write docs/reference/command-line.md from what `llmtl COMMAND --help` prints.

Run `python docs/write_command_line.py` after an option came or went; a test holds that the page is current.
"""

import argparse
import os
import sys
from pathlib import Path

from llmtl.cli.entry import COMMANDS, full_parser, more

PAGE = Path(__file__).parent / "reference" / "command-line.md"
WIDTH = "110"
INTRODUCTION = """# The command line

`python docs/write_command_line.py` writes this page from `llmtl COMMAND --help`.

What a command is about goes to stdout, what it says beside that to stderr. Exit codes: 0 done, 1 a foreseen failure
while running, 2 input that you have to fix (one line says how), 130 interrupted. `--json` prints a result for machines
and nothing else to stdout; `--quiet` says nothing beside the result, `--verbose` every step on a line of its own.
Completion of commands and options:
`llmtl completion bash > ~/.local/share/bash-completion/completions/llmtl` (or `zsh`, `tcsh`).
"""


def page() -> str:
    """Return the page with the help of every command."""
    os.environ["COLUMNS"] = WIDTH
    parsers = next(
        action.choices
        for action in full_parser()._subparsers._group_actions
        if isinstance(action, argparse._SubParsersAction)
    )
    # this page is what the help points to at its end
    helps = {command.name: parsers[command.name].format_help().rstrip().removesuffix(more()) for command in COMMANDS}
    return "\n".join([INTRODUCTION, *(f"## {name}\n\n```\n{said.rstrip()}\n```\n" for name, said in helps.items())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit()
