"""`llmtl run`: measure every strategy on labelled data, decide, print the verdict."""

import argparse
from pathlib import Path

from llmtl.cli.command import Command
from llmtl.cli.mirrored import add_mirrored
from llmtl.errors import InputError


def _add_options(parser: argparse.ArgumentParser) -> None:
    from llmtl.sections import BudgetConfig, EncoderConfig, ModelConfig

    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("overrides", nargs="*", metavar="KEY.SUB=VALUE", help="recipe values to replace")
    parser.add_argument("--text", metavar="COLUMN", help="the column with the inputs")
    parser.add_argument("--label", metavar="COLUMN", help="the column with the labels")
    add_mirrored(parser, ModelConfig, "name", flag="--model", metavar="M")
    add_mirrored(parser, EncoderConfig, "name", flag="--encoder", metavar="E")
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/NAME)")
    add_mirrored(parser, BudgetConfig, "minutes", flag="--budget-minutes")


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.report.terminal import TerminalProgress, print_verdict

    overrides = list(options.overrides)
    if options.budget_minutes is not None:
        overrides.append(f"budget.minutes={options.budget_minutes}")
    if options.encoder is not None:
        overrides.append(f"encoder={options.encoder}")
    console = Console()
    with TerminalProgress(console) as progress:
        from llmtl.pipeline import run
        from llmtl.pipeline.report import summary_notes

        finished = run(
            options.source,
            overrides=_with_model(options, overrides),
            text=options.text,
            label=options.label,
            model=options.model,
            out=options.out,
            progress=progress,
        )
    print_verdict(finished.decision, finished.summary, console=console, notes=summary_notes(finished))
    console.print(f"Report: {finished.report}", soft_wrap=True)
    return 0


def _with_model(options: argparse.Namespace, overrides: list[str]) -> list[str]:
    """Add `--model` to the overrides if the source is a recipe.

    Raises `InputError` naming the options that a data file still needs.
    """
    given = {name: getattr(options, name) for name in ("text", "label", "model")}
    source = Path(options.source)
    if source.is_dir() or source.suffix in (".yaml", ".yml"):
        if options.text or options.label:
            raise InputError("A recipe names its own columns; leave out --text and --label, or set data.text=COLUMN.")
        return overrides + ([f"model.name={options.model}"] if options.model else [])
    missing = [f"--{name}" for name, value in given.items() if not value]
    if missing:
        raise InputError(f"A data file also needs {' and '.join(missing)}; a recipe is a folder or a .yaml file.")
    return overrides


RUN = Command(
    "run",
    "measure every strategy and decide",
    _run,
    _add_options,
    description="Measure every strategy on labelled data and decide. SOURCE is a recipe (recipe.yaml or its "
    "folder) or, with --text, --label and --model, a CSV, JSON Lines or Parquet file or a Hub data set.",
    rest="overrides",
    resumes=True,
)
