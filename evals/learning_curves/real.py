"""Measure learning curves of `tfidf` on real data, further than they are shown; see the README.

Not covered: strategies with a language model (`models`), which share the dividing and the measuring here.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from worlds import POINTS, of_wrong

from llmtl.answers import write_labels
from llmtl.data import subsample
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import RunError
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.learning_curve import FEWEST_POINTS, MeasuredCurve, subset_sizes
from llmtl.strategies.tfidf import Tfidf
from llmtl.strategy import FitContext, Predictor
from llmtl.task import Example, Metric, Split, Task

FURTHER = (2, 4)
SHOWN = ((1 / 16, POINTS), (1 / 4, POINTS))
MOST_TRAIN = 4000
MOST_TEST = 3000


@dataclass(frozen=True)
class Wanted:
    """A task, all its examples and how to divide them; `seed` draws the subsets of train.

    `shown` are the curves: the share of train that each ends at, and its number of sizes.
    """

    name: str
    task: Task
    examples: tuple[Example, ...]
    dev: int
    seed: int
    most_train: int = MOST_TRAIN
    most_test: int = MOST_TEST
    shown: tuple[tuple[float, int], ...] = SHOWN


@dataclass(frozen=True)
class RealCurve:
    """A measured curve, and the scores on `test_examples` other examples at multiples of its largest size."""

    data: str
    seed: int
    measured: MeasuredCurve
    truth: dict[int, float]
    test_examples: int


@dataclass(frozen=True)
class Scored:
    """Which dev examples are wrong after fitting on some examples of train, and the score on test; None: not needed."""

    dev: NDArray[np.bool_] | None
    test: float | None


Fit = Callable[[Wanted, Split, Path], Predictor]
"""Fits a strategy as a run does, on train and dev of the split; the folder is there until it has predicted."""


def curves(data: Path) -> Iterator[RealCurve]:
    """Yield the curves of every data set that exists here."""
    for wanted in tasks(data):
        plan = planned(wanted)
        scored = {size: plan.score(size, _tfidf) for size in sorted(plan.on_dev | plan.on_test)}
        yield from plan.curves(scored, "tfidf")


def tasks(data: Path) -> Iterator[Wanted]:
    """Yield what is wanted of every data set that exists here."""
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
    task = Task("types", types, metric=Metric.ACCURACY, kind=MULTI_LABEL)
    examples = tuple(Example(str(at), text, write_labels(named, types)) for at, (text, named) in enumerate(found))
    for seed in range(3):
        yield Wanted("restaurant8k, types", task, examples, dev=200, seed=seed)


def _e2e(path: Path) -> Iterator[Wanted]:
    """Yield the task of finding the price range that a sentence states, each sentence once."""
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


@dataclass(frozen=True)
class Plan:
    """The split of a task, and the sizes that each of its curves shows."""

    wanted: Wanted
    split: Split
    shown: tuple[tuple[int, ...], ...]

    @property
    def on_dev(self) -> frozenset[int]:
        """The sizes that the forecast sees."""
        return frozenset(size for sizes in self.shown for size in sizes)

    @property
    def on_test(self) -> frozenset[int]:
        """The sizes to be predicted."""
        return frozenset(factor * sizes[-1] for sizes in self.shown for factor in FURTHER)

    def score(self, size: int, fit: Fit) -> Scored:
        """Fit a strategy on that many training examples and score it on what this size needs (dev, test or both)."""
        dev, test = self.wrong(size, fit)
        return Scored(dev, None if test is None else 1 - float(test.mean()))

    def wrong(self, size: int, fit: Fit) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
        """Fit on that many training examples; say which of dev and of test are wrong, None for what is not needed."""
        cut = subsample(self.split, train=size, seed=self.wanted.seed, kind=self.wanted.task.kind)
        with TemporaryDirectory() as folder:
            predictor = fit(self.wanted, cut, Path(folder))
            dev = _wrong(predictor, self.split.dev) if size in self.on_dev else None
            return dev, _wrong(predictor, self.split.test) if size in self.on_test else None

    def curves(self, scored: Mapping[int, Scored], strategy: str) -> Iterator[RealCurve]:
        """Yield the curves whose every size was scored."""
        for sizes in self.shown:
            further = {factor: factor * sizes[-1] for factor in FURTHER}
            if not {*sizes, *further.values()} <= scored.keys():
                continue
            wrong = np.array([scored[size].dev for size in sizes])
            truth = {factor: score for factor, size in further.items() if (score := scored[size].test) is not None}
            measured = of_wrong(sizes, wrong, strategy=strategy)
            yield RealCurve(self.wanted.name, self.wanted.seed, measured, truth, len(self.split.test))


def planned(wanted: Wanted) -> Plan:
    """Plan a task; leave out curves of fewer sizes than a forecast needs."""
    split, labels = _divided(wanted), len(wanted.task.labels)
    shown = (
        subset_sizes(int(share * len(split.train)), points=points, labels=labels) for share, points in wanted.shown
    )
    return Plan(wanted, split, tuple(sizes for sizes in shown if len(sizes) >= FEWEST_POINTS))


def _divided(wanted: Wanted) -> Split:
    """Divide at random into train, dev and test; half of what train does not need is test, up to a limit."""
    order = np.random.default_rng((1, wanted.seed)).permutation(len(wanted.examples))
    examples = [wanted.examples[at] for at in order]
    train = min(wanted.most_train, (len(examples) - wanted.dev) * 2 // 3)
    rest = examples[train + wanted.dev :]
    dev = examples[train : train + wanted.dev]
    return Split(tuple(examples[:train]), tuple(dev), tuple(rest[: wanted.most_test]))


def _tfidf(wanted: Wanted, cut: Split, folder: Path) -> Predictor:
    source = ModelSource("none")
    context = FitContext(wanted.task, cut.train, cut.dev, source, no_engine, folder, seed=wanted.seed)
    return Tfidf().fit(context).predictor


def no_engine(adapter: Path | None) -> Engine:
    """Refuse to load a model, for strategies that run none."""
    raise RunError(f"No language model is needed here (adapter: {adapter}).")


def _wrong(predictor: Predictor, examples: tuple[Example, ...]) -> NDArray[np.bool_]:
    found = predictor.predict([example.text for example in examples])
    return np.array([item.answer != example.reference for item, example in zip(found, examples, strict=True)])
