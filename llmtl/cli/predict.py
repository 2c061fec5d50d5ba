"""`llmtl predict`: label new inputs with a run's winner."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmtl.cli.command import Command
from llmtl.cli.volume import add_quiet
from llmtl.numerals import HAS, plural, some_of

if TYPE_CHECKING:
    from llmtl.data.inputs import InputRow, InputTable
    from llmtl.kinds.kind import Kind
    from llmtl.pipeline import Run
    from llmtl.strategy import Prediction


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--text", action="append", metavar="TEXT", help="an input; repeat for more")
    source.add_argument(
        "--file",
        metavar="F",
        help="CSV, TSV, JSON Lines, JSON, Parquet or Excel, or .txt with one input per line (default: stdin, with JSON "
        "Lines or one input per line; an empty line keeps its place)",
    )
    parser.add_argument("--column", metavar="COLUMN", help="the file's input column (default: the recipe's)")
    parser.add_argument("--encoding", metavar="NAME", help="the file's encoding (default: found out)")
    parser.add_argument("--strategy", metavar="NAME", help="a measured strategy (default: the winner)")
    parser.add_argument(
        "--out",
        metavar="F",
        help="write a .csv, .jsonl or .parquet file: the columns of the input and the answers (default: JSON Lines to "
        "stdout)",
    )
    add_quiet(parser)


def _predict(options: argparse.Namespace) -> int:
    from llmtl.data.inputs import require_writable, write_answers
    from llmtl.pipeline import load_run

    out = None if options.out is None else Path(options.out)
    if out is not None:
        require_writable(out)
    finished = load_run(options.run)
    table = _inputs(options, finished)
    asked = [row.text for row in table.rows if row.text is not None]
    predictions = iter(finished.predictor(options.strategy).predict(asked) if asked else [])
    answered = [(row, None if row.text is None else next(predictions)) for row in table.rows]
    if out is None:
        for row, prediction in answered:
            print(json.dumps(_line(row, prediction), ensure_ascii=False))
    else:
        kind = finished.task.kind
        added = _added(table.columns, kind)
        columns = [*(table.columns or ("text",)), *added]
        write_answers(out, columns, [_cells(row, prediction, added, kind) for row, prediction in answered])
    if not options.quiet:
        for said in _said(table, answered, out):
            print(f"llmtl: {said}", file=sys.stderr)
    return 0


def _inputs(options: argparse.Namespace, finished: "Run") -> "InputTable":
    """Read what is to be answered, from where the options say."""
    from llmtl.data.inputs import from_texts, read_inputs, read_stdin
    from llmtl.errors import InputError

    column = options.column or finished.recipe.data.text
    if options.text:
        return from_texts(options.text)
    if options.file and options.file != "-":
        return read_inputs(options.file, column, options.encoding)
    if sys.stdin.isatty():
        raise InputError("There is nothing to predict; give --text or --file, or write inputs to stdin.")
    return read_stdin(sys.stdin.buffer.read(), column, options.encoding)


def _line(row: "InputRow", prediction: "Prediction | None") -> dict[str, object]:
    """Give the row that stdout shows; canonical answers of other kinds than classification are JSON in a string."""
    label = None if prediction is None else prediction.answer
    probabilities = {} if prediction is None else dict(prediction.probabilities)
    failure = row.problem if prediction is None else prediction.failure
    found: dict[str, object] = {"text": row.text, "label": label, "probabilities": probabilities}
    return found | ({"failure": failure} if failure else {})


def _added(columns: tuple[str, ...], kind: "Kind") -> list[str]:
    """Name the columns of the answer, how sure it is and why there is none, as none of the input is called."""
    return [_free(name, columns) for name in (kind.shape.value, "confidence", "error")]


def _free(name: str, columns: tuple[str, ...]) -> str:
    return _free(f"predicted_{name}", columns) if name in columns else name


def _cells(row: "InputRow", prediction: "Prediction | None", added: list[str], kind: "Kind") -> dict[str, Any]:
    answer = None if prediction is None or prediction.answer is None else kind.as_json(prediction.answer)
    certainty = None if prediction is None else prediction.certainty
    error = row.problem if prediction is None else prediction.failure
    return {**row.values, **dict(zip(added, (answer, certainty, error or None), strict=True))}


def _said(table: "InputTable", answered: "list[tuple[InputRow, Prediction | None]]", out: Path | None) -> Iterator[str]:
    """Say what was read, which rows have no answer, and where the others are."""
    if table.told:
        yield f"{table.told}."
    failed = [(row, row.problem if made is None else made.failure) for row, made in answered]
    failed = [(row, why) for row, why in failed if why]
    if failed:
        row, why = failed[0]
        yield f"{some_of(len(failed), len(answered), 'row', HAS)} no answer (first: {row.where}: {why})"
    if out is not None:
        yield f"Wrote {plural(len(answered), 'row')} to {out}."


PREDICT = Command(
    "predict",
    "label new inputs with a run's winner",
    _predict,
    _add_options,
    description="Label new inputs with a run's winner. A row without a usable text keeps its place, with an empty "
    "answer and the reason; the others are answered.",
    examples=(
        'llmtl predict runs/tickets --text "the machine kept my card"',
        "llmtl predict runs/tickets --file new.xlsx --out labelled.csv",
        "tail -n 100 messages.txt | llmtl predict runs/tickets | jq -r .label",
    ),
)
