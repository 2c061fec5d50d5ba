"""`llmtl doctor`: what this machine can run."""

import argparse
import json
from dataclasses import asdict

from llmtl.cli.command import Command
from llmtl.cli.volume import add_json


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_json(parser, "what was found")


def _doctor(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.checkpoints.cache import cache_folder
    from llmtl.checkpoints.locate import availability
    from llmtl.hardware import gaps, inspect
    from llmtl.report.doctor import print_doctor, print_models

    hardware = inspect()
    if options.json:
        found = {
            "machine": asdict(hardware),
            "gaps": [asdict(gap) for gap in gaps(hardware)],
            "models": [{"name": each.model.name, "hub": each.model.hub, "from": each.there} for each in availability()],
            "cache": str(cache_folder()),
        }
        print(json.dumps(found, indent=2, ensure_ascii=False, default=str))
        return 0
    console = Console()
    print_doctor(hardware, gaps(hardware), console)
    print_models(availability(), cache_folder(), console)
    return 0


DOCTOR = Command(
    "doctor",
    "what this machine can run, and what fixes each gap",
    _doctor,
    _add_options,
    examples=("llmtl doctor", "llmtl doctor --json | jq .gaps"),
)
