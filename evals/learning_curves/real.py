"""Learning curves of `tfidf` on real data, measured further than they are shown; see the README.

Not covered: strategies with a language model, whose curves would take hours here.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from worlds import POINTS, of_wrong

from llmtl.answers import write_labels
from llmtl.baselines.tfidf import Tfidf
from llmtl.data import subsample
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import RunError
from llmtl.learning_curve import FEWEST_POINTS, Measured, subset_sizes
from llmtl.predictor import FitContext, Predictor
from llmtl.task import Example, Metric, Split, Task, TaskKind

FURTHER = (2, 4)
SHOWN_SHARES = (1 / 16, 1 / 4)
MOST_TRAIN = 4000
MOST_TEST = 3000


@dataclass(frozen=True)
class Wanted:
    """A task, all its examples and how they are to be divided; `seed` draws the subsets of train."""

    name: str
    task: Task
    examples: tuple[Example, ...]
    dev: int
    seed: int


@dataclass(frozen=True)
class RealCurve:
    """A measured curve, and what was measured on `test_examples` others at so many times its largest size."""

    data: str
    seed: int
    measured: Measured
    truth: dict[int, float]
    test_examples: int


def curves(data: Path) -> Iterator[RealCurve]:
    """Yield the curves of every data set that is there."""
    for wanted in _wanted(data):
        yield from _continued(wanted)


def _wanted(data: Path) -> Iterator[Wanted]:
    makers: dict[str, Callable[[Path], Iterator[Wanted]]] = {
        "banking77/train.csv": _banking,
        "restaurant8k/train.jsonl": _restaurant,
        "e2e_nlg/dev.csv": _e2e,
    }
    for file, make in makers.items():
        if (data / file).is_file():
            yield from make(data / file)


def _banking(path: Path) -> Iterator[Wanted]:
    rows = [(row["text"], row["category"]) for name in ("train.csv", "test.csv") for row in _csv(path.with_name(name))]
    intents = sorted({label for _, label in rows})
    yield _classification("banking77", rows, intents, dev=500, seed=0)
    rng = np.random.default_rng(0)
    for seed, count in enumerate((10, 10, 10, 10, 30, 30)):
        some = sorted(rng.choice(intents, size=count, replace=False).tolist())
        yield _classification(f"banking77, {count} intents", [row for row in rows if row[1] in some], some, seed=seed)


def _restaurant(path: Path) -> Iterator[Wanted]:
    found = []
    for name in ("train.jsonl", "test.jsonl"):
        for line in path.with_name(name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found.append((row["text"], {span["type"] for span in row["entities"]}))
    types = tuple(sorted(set().union(*(named for _, named in found))))
    task = Task("types", types, metric=Metric.ACCURACY, kind=TaskKind.MULTI_LABEL)
    examples = tuple(Example(str(at), text, write_labels(named, types)) for at, (text, named) in enumerate(found))
    for seed in range(3):
        yield Wanted("restaurant8k, types", task, examples, dev=200, seed=seed)


def _e2e(path: Path) -> Iterator[Wanted]:
    """Yield the price range that a sentence states, each sentence once."""
    rows = {}
    for row in _csv(path):
        price = re.search(r"priceRange\[(.*?)\]", row["mr"])
        rows[row["ref"]] = price.group(1) if price else "none"
    labels = sorted(set(rows.values()))
    for seed in range(2):
        yield _classification("e2e_nlg, price range", list(rows.items()), labels, seed=seed)


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _classification(name: str, rows: list[tuple[str, str]], labels: list[str], *, seed: int, dev: int = 200) -> Wanted:
    examples = tuple(Example(str(at), text, label) for at, (text, label) in enumerate(rows))
    return Wanted(name, Task("task", tuple(labels)), examples, dev=dev, seed=seed)


def _continued(wanted: Wanted) -> Iterator[RealCurve]:
    """Yield the curves that end at each share of train, continued to twice and four times their largest size."""
    split = _divided(wanted)
    for share in SHOWN_SHARES:
        sizes = subset_sizes(int(share * len(split.train)), points=POINTS, labels=len(wanted.task.labels))
        if len(sizes) < FEWEST_POINTS:
            continue
        fitted = {size: _fit(wanted, split, size) for size in (*sizes, *(factor * sizes[-1] for factor in FURTHER))}
        wrong = np.array([_wrong(fitted[size], split.dev) for size in sizes])
        truth = {factor: 1 - float(_wrong(fitted[factor * sizes[-1]], split.test).mean()) for factor in FURTHER}
        yield RealCurve(wanted.name, wanted.seed, of_wrong(sizes, wrong, strategy="tfidf"), truth, len(split.test))


def _divided(wanted: Wanted) -> Split:
    """Return train, dev and test at random; half of what train does not need is test, up to a limit."""
    order = np.random.default_rng((1, wanted.seed)).permutation(len(wanted.examples))
    examples = [wanted.examples[at] for at in order]
    train = min(MOST_TRAIN, (len(examples) - wanted.dev) * 2 // 3)
    rest = examples[train + wanted.dev :]
    return Split(tuple(examples[:train]), tuple(examples[train : train + wanted.dev]), tuple(rest[:MOST_TEST]))


def _fit(wanted: Wanted, split: Split, size: int) -> Predictor:
    """Return `tfidf` fitted as a run does with that many training examples."""
    cut = subsample(split, train=size, seed=wanted.seed, kind=wanted.task.kind)
    with TemporaryDirectory() as folder:
        context = FitContext(
            wanted.task, cut.train, cut.dev, ModelSource("none"), _no_engine, Path(folder), seed=wanted.seed
        )
        return Tfidf().fit(context)


def _no_engine(adapter: Path | None) -> Engine:
    raise RunError(f"No language model is needed here (adapter: {adapter}).")


def _wrong(predictor: Predictor, examples: tuple[Example, ...]) -> NDArray[np.bool_]:
    found = predictor.predict([example.text for example in examples])
    return np.array([item.answer != example.reference for item, example in zip(found, examples, strict=True)])
