"""`llmtl run`: measure every strategy on labelled data, decide, print the verdict."""

import argparse
import json
from pathlib import Path
from typing import Any

from llmtl.cli.command import Command
from llmtl.cli.mirrored import add_mirrored
from llmtl.cli.volume import add_json, add_volume, console_of, progress_on
from llmtl.errors import InputError, MissingFileError

_TASK = ("metric", "target", "instruction")
_PRICES = ("requests_per_month", "gpu")


def _add_options(parser: argparse.ArgumentParser) -> None:
    from llmtl.sections import BudgetConfig, EncoderConfig, ModelConfig

    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("overrides", nargs="*", metavar="KEY.SUB=VALUE", help="recipe values to replace")
    parser.add_argument("--text", metavar="COLUMN", help="the column with the inputs")
    parser.add_argument("--label", metavar="COLUMN", help="the column with the labels")
    add_mirrored(parser, ModelConfig, "name", flag="--model", metavar="M")
    add_mirrored(parser, EncoderConfig, "name", flag="--encoder", metavar="E")
    # not mirrored: reading these sections takes scipy
    parser.add_argument("--task", metavar="KIND", help="classification, multi-label, extraction, generation, retrieval")
    parser.add_argument("--metric", metavar="METRIC", help="the score to decide on (default: the first of the kind)")
    parser.add_argument("--target", metavar="SCORE", help="the score that the winner should reach on test, 0 to 1")
    parser.add_argument("--instruction", metavar="TEXT", help="what the model is told to do (default: of the kind)")
    parser.add_argument("--labels", metavar="FILE", help="YAML or JSON: each label with what it means, or null")
    parser.add_argument("--strategies", metavar="NAME,NAME", help="those to measure (default: all that suit)")
    parser.add_argument(
        "--requests-per-month",
        metavar="N",
        help="requests to expect in a month, which costs rest on (default: 100,000, marked as assumed)",
    )
    parser.add_argument(
        "--gpu",
        metavar="NAME",
        help="the machine with one GPU that costs rest on, such as a10g, l4 or h100 (default: a10g, marked as assumed)",
    )
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/NAME)")
    add_mirrored(parser, BudgetConfig, "minutes", flag="--budget-minutes")
    add_json(parser, "the decision")
    add_volume(parser)


def _run(options: argparse.Namespace) -> int:
    from llmtl.report.terminal import print_verdict

    overrides = [*options.overrides, *_choices(options)]
    console = console_of(options)
    with progress_on(console, options) as progress:
        from llmtl.pipeline import run
        from llmtl.pipeline.report import report_content, summary_notes

        finished = run(
            options.source,
            overrides=_with_model(options, overrides),
            text=options.text,
            label=options.label,
            model=options.model,
            out=options.out or own_folder(options.source),
            progress=progress,
        )
    if options.json:
        print((finished.folder / "decision.json").read_text(encoding="utf-8"), end="")
        return 0
    content = report_content(finished)
    print_verdict(
        content.decision,
        content.summary,
        console=console,
        notes=summary_notes(content),
        codes=content.codes,
        kind=content.task.kind,
    )
    console.print(f"Report: {finished.report}", soft_wrap=True)
    return 0


def own_folder(source: str) -> str | None:
    """Name the folder in which a run goes on: the source itself where that is the folder of a run."""
    from llmtl.seals import STEPS

    return source if (Path(source) / STEPS).is_dir() else None


def _choices(options: argparse.Namespace) -> list[str]:
    """Write the options that are choices of the recipe as overrides."""
    keys = {
        "kind": "task.kind",
        **{name: f"task.{name}" for name in _TASK},
        **{name: f"prices.{name}" for name in _PRICES},
        "budget_minutes": "budget.minutes",
        "encoder": "encoder",
        "strategies": "strategies.run",
    }
    flags = {"kind": "task"}
    given = {key: getattr(options, flags.get(name, name)) for name, key in keys.items()}
    if options.labels is not None:
        given["task.labels"] = _described(Path(options.labels))
    if options.strategies is not None:
        given["strategies.run"] = [name.strip() for name in options.strategies.split(",")]
    numbers = {"task.target", "budget.minutes", "prices.requests_per_month"}
    return [
        f"{key}={value if key in numbers else json.dumps(value)}" for key, value in given.items() if value is not None
    ]


def _described(file: Path) -> dict[str, Any]:
    """Read a file that says what labels mean; raises `InputError` kin."""
    from llmtl.recipe import read_yaml

    if not file.is_file():
        raise MissingFileError(
            f"The file '{file}' does not exist; give --labels a YAML or JSON file that maps labels to what they mean."
        )
    return read_yaml(file)


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
    "folder) or, with --text, --label and --model, a CSV, TSV, JSON Lines, JSON, Parquet or Excel file or a Hub "
    "data set. The folder of a run goes on where it stopped.",
    examples=(
        "llmtl run tickets.csv --text message --label queue --model smollm2 --target 0.85",
        "llmtl run mail.xlsx --text body --label tags --model smollm2 --task multi-label data.label_separator=;",
        "llmtl run tickets.csv --text message --label queue --model smollm2 --strategies tfidf,zero-shot,qlora",
        "llmtl run tickets.csv --text message --label queue --model smollm2 --labels labels.yaml",
        "llmtl run recipes/quickstart --budget-minutes 10 seed=3",
        "llmtl run runs/tickets      # go on where it stopped",
        "llmtl run runs/tickets/recipe.yaml --out runs/again",
    ),
    rest="overrides",
    resumes=True,
)
