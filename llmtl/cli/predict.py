"""`llmtl predict`: label new inputs with a run's winner."""

import argparse
import json
from typing import TYPE_CHECKING

from llmtl.cli.command import Command

if TYPE_CHECKING:
    from llmtl.strategy import Prediction


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", metavar="TEXT", help="an input; repeat for more")
    source.add_argument("--file", metavar="F", help="CSV, JSON Lines or Parquet, or .txt with one input per line")
    parser.add_argument("--column", metavar="COLUMN", help="the file's input column (default: the recipe's)")
    parser.add_argument("--strategy", metavar="NAME", help="a measured strategy (default: the winner)")


def _predict(options: argparse.Namespace) -> int:
    from llmtl.data import read_inputs
    from llmtl.pipeline import load_run

    finished = load_run(options.run)
    texts = options.text or read_inputs(options.file, options.column or finished.recipe.data.text)
    for text, prediction in zip(texts, finished.predictor(options.strategy).predict(texts), strict=True):
        print(json.dumps(_row(text, prediction), ensure_ascii=False))
    return 0


def _row(text: str, prediction: "Prediction") -> dict[str, object]:
    row: dict[str, object] = {"text": text, "label": prediction.answer, "probabilities": dict(prediction.probabilities)}
    return row | ({"failure": prediction.failure} if prediction.failure else {})


PREDICT = Command("predict", "label new inputs with a run's winner; prints JSON Lines", _predict, _add_options)
