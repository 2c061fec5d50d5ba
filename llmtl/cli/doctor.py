"""`llmtl doctor`: what this machine can run."""

import argparse

from llmtl.cli.command import Command


def _doctor(_: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.checkpoints.cache import cache_folder
    from llmtl.checkpoints.locate import availability
    from llmtl.hardware import gaps, inspect
    from llmtl.report.doctor import print_doctor, print_models

    hardware = inspect()
    console = Console()
    print_doctor(hardware, gaps(hardware), console)
    print_models(availability(), cache_folder(), console)
    return 0


DOCTOR = Command("doctor", "what this machine can run, and what fixes each gap", _doctor, examples=("llmtl doctor",))
