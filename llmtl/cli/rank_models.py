"""`llmtl rank-models`: a shortlist of models for labelled data, in seconds and without training."""

import argparse
import json
from typing import TYPE_CHECKING

from llmtl.cli.command import Command
from llmtl.cli.volume import add_json, add_volume, console_of, progress_on

if TYPE_CHECKING:
    from llmtl.pipeline.rank_models import ModelRanking

NEVER_A_VERDICT = (
    "A shortlist, never a verdict: LogME and H-score say how well the frozen states of a model tell the labels apart, "
    "not how well it does the task when it is prompted or tuned. Measure the first of the list with `llmtl run`."
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="a recipe, or a data file or Hub data set with its columns")
    parser.add_argument("overrides", nargs="*", metavar="KEY.SUB=VALUE", help="recipe values to replace")
    parser.add_argument("--models", nargs="+", required=True, metavar="M", help="names or folders of models to rank")
    parser.add_argument("--text", metavar="COLUMN", help="the column with the inputs")
    parser.add_argument("--label", metavar="COLUMN", help="the column with the labels")
    parser.add_argument("--task", metavar="KIND", help="classification (default) or multi-label")
    parser.add_argument(
        "--examples", type=int, default=400, metavar="N", help="training examples to read, at most (default: 400)"
    )
    add_json(parser, "the ranking with every layer")
    add_volume(parser)


def _run(options: argparse.Namespace) -> int:
    from llmtl.errors import InputError

    if options.examples < 2:
        raise InputError(f"The option '--examples' must be at least 2, got {options.examples}.")
    console = console_of(options)
    with progress_on(console, options) as progress:
        from llmtl.pipeline.rank_models import as_json, rank_models, recipe_of

        kind = [] if options.task is None else [f"task.kind={json.dumps(options.task)}"]
        recipe = recipe_of(
            options.source,
            text=options.text,
            label=options.label,
            models=options.models,
            overrides=[*options.overrides, *kind],
        )
        ranking = rank_models(recipe, options.models, progress, examples=options.examples)
    if options.json:
        print(json.dumps(as_json(ranking), indent=2, ensure_ascii=False))
    else:
        _print(ranking)
    return 0


def _print(ranking: "ModelRanking") -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("model", box=box.SIMPLE, pad_edge=False)
    for title in ("LogME", "H-score", "best layer", "layers", "width", "seconds"):
        table.add_column(title, justify="right")
    for each in ranking.models:
        layers = str(len(each.layers) - 1)
        scores = (f"{each.logme:.3f}", f"{each.h_score:.2f}", str(each.best_layer), layers, f"{each.width:,}")
        table.add_row(each.name, *scores, f"{each.seconds:.1f}")
    console.print(table)
    told = (
        f"{ranking.examples:,} training examples, {ranking.labels:,} labels; means over all layers, higher is better. "
        f"{NEVER_A_VERDICT}"
    )
    console.print(told, soft_wrap=True, markup=False, highlight=False)


RANK_MODELS = Command(
    "rank-models",
    "a shortlist of models for labelled data, in seconds",
    _run,
    _add_options,
    description="Rank models by how well their frozen states tell the labels of train apart (LogME and the regularised "
    "H-score, averaged over all layers), in seconds and without training. A shortlist, never a verdict. SOURCE is a "
    "recipe or, with --text and --label, a data file or a Hub data set.",
    examples=(
        "llmtl rank-models tickets.csv --text message --label queue --models minilm smollm2",
        "llmtl rank-models recipes/support --models minilm smollm2 pocket-llama --json",
    ),
    rest="overrides",
)
