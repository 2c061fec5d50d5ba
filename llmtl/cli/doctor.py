"""`llmtl doctor`: what this machine can run."""

import argparse

from llmtl.cli.command import Command


def _doctor(_: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.hardware import gaps, inspect
    from llmtl.report.doctor import print_doctor

    hardware = inspect()
    print_doctor(hardware, gaps(hardware), Console())
    return 0


DOCTOR = Command("doctor", "what this machine can run, and what fixes each gap", _doctor)
