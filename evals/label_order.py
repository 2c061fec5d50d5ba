"""Measure how much answers depend on the order of the labels, and what averaging orders does to that.

    python evals/label_order.py --model pocket-llama --data DATA/banking77
    python evals/label_order.py --model FOLDER --data DATA/banking77 --dtype bfloat16 --banking77-only

Zero-shot label scores with the task's own instruction. The list of labels is given in four orders: as it is, reversed,
and shuffled twice. In each, the model answers from that order alone ("plain") and from 2 or 4 rotations of it, averaged
as `zero-shot` does (the mean of log-probabilities) and, for comparison, as the mean of probabilities.

Per way of answering: accuracy (mean over the four orders), the share of answers that differ between two orders (mean
over the six pairs, and between the first order and its reverse, which is what AnyJev, arXiv:2610.00831, reports), the
expected calibration error, the share of inputs that the surest answers make up with at most 5% errors (found and
counted on the same inputs, as there: an upper end, not a promise). The difference in accuracy has a 95% percentile
bootstrap interval over inputs. Nothing is chosen here: every setting is reported. Not covered: the search on dev, other
models, whether the cost is worth it.
"""

import argparse
import csv
import itertools
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from written_results import circumstances, write_result

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.metrics.calibration import expected_calibration_error
from llmtl.pocket import resolve
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.rotations import label_orders, likeliest, mean_probabilities
from llmtl.prompting.template import Template
from llmtl.strategy import Prediction
from llmtl.task import Example, Task

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "banking77"
QUICKSTART = ROOT / "recipes" / "quickstart" / "data.csv"
ROTATIONS = 4
MOST_ERRORS = 0.05
DRAWS = 2000


@dataclass(frozen=True)
class Rows:
    """The answers of one way of answering from one order of the labels, and their probabilities."""

    answers: tuple[str, ...]
    probabilities: tuple[Mapping[str, float], ...]


def main() -> int:
    """Measure a model on every data set that is there."""
    options = _options()
    torch.set_num_threads(options.threads)
    before = circumstances(sys.argv)
    engine = TransformersEngine.load(
        ModelSource(str(resolve(options.model) or options.model), dtype=options.dtype), device="cpu"
    )
    name, found = Path(options.model).name, []
    for task, inputs in _tasks(options):
        found.append({"model": name, **measure(engine, task, inputs)})
        print(_said(found[-1]), flush=True)
    result = {
        "what": "answers of zero-shot label scores from one order of the labels, and averaged over rotations of it",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "dtype": options.dtype,
        "found": found,
    }
    print(f"Written to {write_result(f'label_order-{name}', result).name}.")
    return 0


def measure(engine: Any, task: Task, inputs: Sequence[Example]) -> dict[str, Any]:
    """Compare the ways of answering on one task."""
    truth = [example.reference for example in inputs]
    ways: dict[str, list[Rows]] = {}
    tokens, seconds = [], 0.0
    for order in base_orders(task.labels):
        start = perf_counter()
        asked = [_ask(engine, task, turned, inputs) for turned in label_orders(order, ROTATIONS)]
        seconds += perf_counter() - start
        tokens.append(float(np.mean([each.prompt_tokens for each in asked[0]])))
        plain = [[each.probabilities for each in rows] for rows in asked]
        ways.setdefault("plain", []).append(Rows(tuple(_answer(each) for each in asked[0]), tuple(plain[0])))
        for count in (2, ROTATIONS):
            # two of four evenly spaced rotations are those of two
            turned = list(zip(*plain[:: len(plain) // min(count, len(plain))], strict=True))
            ways.setdefault(f"{count} rotations", []).append(_rows([mean_probabilities(row) for row in turned]))
        means = [{label: float(np.mean([row[label] for row in each])) for label in task.labels} for each in turned]
        ways.setdefault(f"{ROTATIONS} rotations, mean of probabilities", []).append(_rows(means))
    right = {way: _right(rows, truth) for way, rows in ways.items()}
    return {
        "task": task.name,
        "labels": len(task.labels),
        "inputs": len(inputs),
        "majority_share": round(max(truth.count(label) for label in task.labels) / len(truth), 4),
        "prompt_tokens_of_one_order": round(float(np.mean(tokens)), 1),
        "ms_per_prompt": round(1000 * seconds / (len(tokens) * ROTATIONS * len(inputs)), 2),
        "ways": {way: _told(rows, truth, right[way]) for way, rows in ways.items()},
        "accuracy_gain": {
            way: [round(value, 4) for value in gain(right[way], right["plain"])] for way in ways if way != "plain"
        },
    }


def base_orders(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """List four orders of the labels: as they are, reversed, shuffled twice."""
    draw = random.Random(0)
    return [tuple(labels), tuple(reversed(labels)), *(tuple(draw.sample(labels, len(labels))) for _ in range(2))]


def gain(ours: NDArray[np.float64], plain: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the difference in accuracy over (orders, inputs) of 0 and 1, with its 95% interval over inputs."""
    each = (ours - plain).mean(axis=0)
    draws = np.random.default_rng(0).integers(len(each), size=(DRAWS, len(each)))
    low, high = np.percentile(each[draws].mean(axis=1), [2.5, 97.5])
    return float(each.mean()), float(low), float(high)


def flips(rows: Sequence[Rows]) -> float:
    """Return the share of answers that differ between two orders, the mean over all pairs."""
    pairs = list(itertools.combinations(rows, 2))
    return float(np.mean([_differing(one, other) for one, other in pairs]))


def automatable(confidence: Sequence[float], right: Sequence[bool | float]) -> float:
    """Return the largest share of inputs, surest first, of which at most 5% are wrong; ties stay together."""
    order = np.argsort(-np.asarray(confidence), kind="stable")
    sure, wrong = np.asarray(confidence)[order], 1.0 - np.asarray(right, dtype=float)[order]
    counts = np.arange(1, len(wrong) + 1)
    ends = np.append(sure[1:] < sure[:-1], True)  # a threshold takes all inputs of one confidence
    good = counts[(np.cumsum(wrong) / counts <= MOST_ERRORS + 1e-12) & ends]
    return float(good.max(initial=0) / len(wrong))


def _told(rows: Sequence[Rows], truth: Sequence[str], right: NDArray[np.float64]) -> dict[str, float]:
    sure = [[max(row.values()) for row in each.probabilities] for each in rows]
    figures = {
        "accuracy": float(right.mean()),
        "accuracy_of_first_order": float(right[0].mean()),
        "lowest_accuracy_of_an_order": float(right.mean(axis=1).min()),
        "flips": flips(rows),
        "flips_when_reversed": _differing(rows[0], rows[1]),
        "ece": float(np.mean([expected_calibration_error(truth, each.probabilities) for each in rows])),
        "automatable_at_5_percent": float(np.mean([automatable(*pair) for pair in zip(sure, right, strict=True)])),
    }
    return {name: round(value, 4) for name, value in figures.items()}


def _ask(engine: Any, task: Task, order: tuple[str, ...], inputs: Sequence[Example]) -> list[Prediction]:
    """Score the labels of every input with the labels listed in one order."""
    template = Template(replace(task, labels=order), engine)
    return LabelPredictor(task, engine, template).predict([example.text for example in inputs])


def _answer(prediction: Prediction) -> str:
    """Return the answer; raises `ValueError` for a failure, of which there is none in these data."""
    if prediction.answer is None:
        raise ValueError(prediction.failure)
    return prediction.answer


def _rows(probabilities: Sequence[Mapping[str, float]]) -> Rows:
    return Rows(tuple(map(likeliest, probabilities)), tuple(probabilities))


def _right(rows: Sequence[Rows], truth: Sequence[str]) -> NDArray[np.float64]:
    """Return which answers are right, (orders, inputs)."""
    return np.array(
        [[answer == true for answer, true in zip(each.answers, truth, strict=True)] for each in rows], float
    )


def _differing(one: Rows, other: Rows) -> float:
    return float(np.mean([a != b for a, b in zip(one.answers, other.answers, strict=True)]))


def _tasks(options: argparse.Namespace) -> list[tuple[Task, list[Example]]]:
    """List the tasks whose data are there, each with a seeded sample of inputs."""
    tasks = []
    if QUICKSTART.exists() and not options.banking77_only:
        rows = _read(QUICKSTART, "label")
        labels = tuple(dict.fromkeys(row.reference for row in rows))
        told = "Route the customer message to the queue that handles it."
        tasks.append((Task("quickstart", labels, instruction=told), _sample(rows, options.inputs)))
    if not (options.data / "test.csv").exists():
        print(f"There is no Banking77 in {options.data}; left out.")
        return tasks
    test = _read(options.data / "test.csv", "category")
    known = sorted({row.reference for row in test})
    for count in options.labels:
        chosen = tuple(known[int(index * len(known) / count)] for index in range(count))
        mine = [row for row in test if row.reference in chosen]
        tasks.append((Task(f"banking77-{count}", chosen), _sample(mine, options.inputs)))
    return tasks


def _read(path: Path, column: str) -> list[Example]:
    with path.open(encoding="utf-8", newline="") as file:
        return [Example(str(at), row["text"], row[column]) for at, row in enumerate(csv.DictReader(file))]


def _sample(rows: list[Example], count: int) -> list[Example]:
    return random.Random(0).sample(rows, min(count, len(rows)))


def _said(row: Mapping[str, Any]) -> str:
    """Say in one line what was found."""
    ours = f"{ROTATIONS} rotations"
    plain, averaged = row["ways"]["plain"], row["ways"][ours]
    change, low, high = row["accuracy_gain"][ours]
    return (
        f"{row['model']}, {row['task']}: accuracy {plain['accuracy']:.3f} to {averaged['accuracy']:.3f} "
        f"({change:+.3f}, {low:+.3f} to {high:+.3f}), flips {plain['flips']:.3f} to {averaged['flips']:.3f}, "
        f"automatable {plain['automatable_at_5_percent']:.3f} to {averaged['automatable_at_5_percent']:.3f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="pocket-llama", help="a model of the package or a folder")
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of Banking77's test.csv")
    parser.add_argument("--labels", type=int, nargs="*", default=[8, 20], help="how many intents of Banking77")
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--banking77-only", action="store_true", help="leave quickstart's data out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
