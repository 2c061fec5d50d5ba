"""The command line: parse, call, print, exit code.

    entry.py      the commands, and how an error ends: one line and an exit code
    command.py    what a command declares about itself
    mirrored.py   options made from the fields of a configuration
    exporting.py  options that `serve` and `export` share
    volume.py     --json, --quiet and --verbose

One file per command: `run`, `runs`, `compare`, `report`, `predict`, `serve`, `export`, `decide`, `doctor`, `schema`,
`completion`. Their modules import nothing
heavy at the top, and only the command that was called makes its options, so that `llmtl --help` costs nothing.
argparse, because click has no options with several values (`--predictions A B`) and takes longer to import.
"""

from llmtl.cli.entry import main

__all__ = ["main"]
