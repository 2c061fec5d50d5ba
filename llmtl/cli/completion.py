"""`llmtl completion`: the script by which a shell completes commands and options."""

import argparse

from llmtl.cli.command import Command

SHELLS = ("bash", "zsh", "tcsh")


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def _complete(options: argparse.Namespace) -> int:
    import shtab

    print(shtab.complete(options.full_parser(), shell=options.shell))
    return 0


COMPLETION = Command(
    "completion",
    "print the script that completes commands and options in a shell",
    _complete,
    _add_options,
    examples=(
        "llmtl completion bash > ~/.local/share/bash-completion/completions/llmtl",
        'llmtl completion zsh > "${fpath[1]}/_llmtl"',
    ),
)
