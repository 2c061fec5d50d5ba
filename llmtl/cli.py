"""The command line: parse, call, print, exit code.

Exit codes: 0 done, 1 a foreseen failure while running, 2 input that the user has to mend, 130 interrupted. Foreseen
failures print one line; unexpected ones keep their traceback.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmtl import __version__
from llmtl.errors import InputError, LlmtlError

if TYPE_CHECKING:
    from llmtl.predictor import Prediction

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code of one command."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except LlmtlError as error:
        print(f"llmtl: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("llmtl: interrupted; the same command goes on from here.", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="llmtl", description="Prompt it or fine-tune it? Decided with evidence.")
    parser.add_argument("--version", action="version", version=f"llmtl {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_run(commands)
    _add_predict(commands)
    doctor = commands.add_parser("doctor", help="what this machine can run, and what mends each gap")
    doctor.set_defaults(command=_doctor)
    schema = commands.add_parser("schema", help="print a JSON Schema")
    schema.add_argument("of", choices=["decision", "recipe"])
    schema.set_defaults(command=_schema)
    return parser


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = commands.add_parser(
        "run",
        help="measure every strategy and decide",
        description="Measure every strategy on labelled data and decide. SOURCE is a recipe (recipe.yaml or its "
        "folder) or, with --text, --label and --model, a CSV, JSON Lines or Parquet file or a Hub data set.",
    )
    run.add_argument("source", metavar="SOURCE")
    run.add_argument("overrides", nargs="*", metavar="KEY.SUB=VALUE", help="recipe values to replace")
    run.add_argument("--text", metavar="COLUMN", help="the column with the inputs")
    run.add_argument("--label", metavar="COLUMN", help="the column with the labels")
    run.add_argument("--model", metavar="M", help="a Hub name, a folder, pocket-llama or pocket-mistral")
    run.add_argument("--out", metavar="DIR", help="the run folder (default: runs/NAME)")
    run.add_argument("--budget-minutes", type=float, metavar="N", help="cap the time; sub-samples and says so")
    run.set_defaults(command=_run)


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser("predict", help="label new inputs with a run's winner; prints JSON Lines")
    predict.add_argument("run", metavar="RUN", help="a run folder")
    source = predict.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", metavar="TEXT", help="an input; repeat for more")
    source.add_argument("--file", metavar="F", help="CSV, JSON Lines or Parquet, or .txt with one input a line")
    predict.add_argument("--column", metavar="COLUMN", help="the file's input column (default: the recipe's)")
    predict.add_argument("--strategy", metavar="NAME", help="a measured strategy (default: the winner)")
    predict.set_defaults(command=_predict)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from llmtl.report.terminal import TerminalProgress, print_verdict

    overrides = list(options.overrides)
    if options.budget_minutes is not None:
        overrides.append(f"budget.minutes={options.budget_minutes}")
    console = Console()
    with TerminalProgress(console) as progress:
        from llmtl.pipeline import run

        finished = run(
            options.source,
            overrides=_with_model(options, overrides),
            text=options.text,
            label=options.label,
            model=options.model,
            out=options.out,
            progress=progress,
        )
    print_verdict(finished.decision, console)
    console.print(f"Report: {finished.report}", soft_wrap=True)
    return 0


def _with_model(options: argparse.Namespace, overrides: list[str]) -> list[str]:
    """Return the overrides, with `--model` as one when the source is a recipe.

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


def _predict(options: argparse.Namespace) -> int:
    from llmtl.data import read_inputs
    from llmtl.pipeline import load_run

    finished = load_run(options.run)
    texts = options.text or read_inputs(options.file, options.column or finished.recipe.data.text)
    for text, prediction in zip(texts, finished.predict(texts, strategy=options.strategy), strict=True):
        print(json.dumps(_row(text, prediction), ensure_ascii=False))
    return 0


def _row(text: str, prediction: "Prediction") -> dict[str, object]:
    row: dict[str, object] = {"text": text, "label": prediction.label, "probabilities": dict(prediction.probabilities)}
    return row | ({"failure": prediction.failure} if prediction.failure else {})


def _doctor(options: argparse.Namespace) -> int:
    del options
    from rich.console import Console

    from llmtl.hardware import gaps, inspect
    from llmtl.report.doctor import print_doctor

    hardware = inspect()
    print_doctor(hardware, gaps(hardware), Console())
    return 0


def _schema(options: argparse.Namespace) -> int:
    if options.of == "decision":
        from llmtl.decision import schema

        document = schema()
    else:
        from llmtl.recipe import json_schema
        from llmtl.settings import Recipe

        document = json_schema(Recipe)
    print(json.dumps(document, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
