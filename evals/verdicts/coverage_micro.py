"""Test whether intervals of micro-F1 keep their level near 0 and 1: `python evals/verdicts/coverage_micro.py`.

Samples of label sets and spans whose true micro-F1 is known; the README beside this file explains the design. Every
cell draws from its own seed, so that it is the same whatever the number of workers. Not covered: macro-F1 (`coverage`).
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from summary import mean, rate

from llmtl.metrics import LABEL_SETS
from llmtl.metrics.summed import Counts, interval_of
from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "coverage_micro"
SEED = 20261128
TRUE = (0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
SIZES = (20, 50, 100, 500)
SAMPLES = 600
"""Samples of each cell."""
LEAST, MOST = 0.93, 0.975
"""A cell keeps its level if its rate lies between these."""
INVENTED = 0.3
"""Items that are claimed where there is nothing to find, at a share found of 0."""
Floats = np.ndarray[Any, np.dtype[np.float64]]
Json = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Answers: the mean number of items to find, whether there may be none, how alike the items of an example are.

    `alike` is the correlation of being found between two of them. `apart`: claims are false independently of what is
    missed. `documents`: examples come 1 to 4 at a time and share their luck; then a cell has so many documents.
    """

    items: float
    may_be_empty: bool
    alike: float = 0.1
    apart: bool = False
    documents: bool = False


KINDS = {
    "label sets": Kind(1.7, may_be_empty=False),
    "label sets, alike": Kind(1.7, may_be_empty=False, alike=0.3),
    "large label sets": Kind(5, may_be_empty=False),
    "spans": Kind(1.2, may_be_empty=True),
    "many spans": Kind(5, may_be_empty=True),
    "many spans, alike": Kind(5, may_be_empty=True, alike=0.3),
    "many spans, false apart": Kind(5, may_be_empty=True, apart=True),
    "spans in documents": Kind(1.2, may_be_empty=True, documents=True),
}


@dataclass(frozen=True)
class Cell:
    """One kind of answers, true micro-F1 and number of independent examples, and how many samples to draw."""

    kind: str
    true: float
    n: int
    samples: int
    seed: tuple[int, int]


@dataclass(frozen=True)
class Judged:
    """How many of so many intervals of a cell lay above and below the true score, and their mean width in points."""

    cell: Cell
    of: int
    above: int
    below: int
    width: float

    @property
    def held(self) -> float:
        """The share of intervals that hold the true score."""
        return 1 - (self.above + self.below) / self.of


def main() -> int:
    """Measure and write the result; the exit code is always 0, the README discusses the figures."""
    options = _options()
    start = time.perf_counter()
    wanted = cells(options.samples, options.seed)
    found = written_results.in_processes(judged, wanted, workers=options.workers, chunksize=1)
    result = {
        "what": "coverage of 95% intervals of micro-F1 whose true value is known",
        **written_results.circumstances(
            ["evals/verdicts/coverage_micro.py", *sys.argv[1:]], packages=("numpy", "scipy")
        ),
        "seconds": round(time.perf_counter() - start, 1),
        "design": {
            "seed": options.seed,
            "samples_of_each_cell": options.samples,
        },
        **summarise(found),
    }
    print(text(result))
    print(written_results.write_result(options.name, result).name)
    return 0


def cells(samples: int, seed: int) -> list[Cell]:
    """List all cells, the slowest first."""
    wanted = [(kind, true, n) for n in reversed(SIZES) for kind in reversed(KINDS) for true in TRUE]
    return [Cell(*each, samples, (seed, number)) for number, each in enumerate(wanted)]


def judged(cell: Cell) -> Judged:
    """Draw the samples of a cell and ask for the interval of each."""
    rng = np.random.default_rng(cell.seed)
    # the references do not matter here: hits and sizes of each example are drawn as the measure counts them
    value = LABEL_SETS.measure(Metric.MICRO_F1, ['["a"]']).value
    ends = []
    for _ in range(cell.samples):
        hits, expected, claimed, groups = drawn(cell, rng)
        each = np.stack([hits, expected + claimed], axis=1)
        perfect = np.stack([expected, 2 * expected], axis=1).mean(axis=0)
        found = interval_of(value, Counts(each[None], perfect, perfect * (0.0, 1.0), groups, of_items=True))
        ends.append((found.low, found.high))
    return _against(cell, ends)


def _against(cell: Cell, ends: Sequence[tuple[float, float]]) -> Judged:
    low, high = np.array(ends).T
    above, below = int((low > cell.true).sum()), int((high < cell.true).sum())
    return Judged(cell, len(ends), above, below, 100 * float((high - low).mean()))


def drawn(cell: Cell, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, tuple[str, ...]]:
    """Draw hits, items to find and items claimed, and the document of each example; examples differ in difficulty."""
    kind, share = KINDS[cell.kind], share_found(cell)
    document = np.repeat(np.arange(cell.n), rng.integers(1, 5, cell.n)) if kind.documents else np.arange(cell.n)
    count = len(document)
    empty = kind.may_be_empty
    expected = rng.poisson(kind.items, count) if empty else 1 + rng.poisson(kind.items - 1, count)
    expected[0] = max(expected[0], 1)  # without anything to find there is no F1
    strength = 1 / kind.alike - 1
    found, claimed = rng.beta(share * strength, (1 - share) * strength, (2, cell.n))[:, document]
    hits = rng.binomial(expected, found)
    # as many items are claimed falsely as are missed, in the mean, and some where there is nothing to find
    false = rng.poisson(expected * (1 - claimed) if kind.apart else expected - hits)
    false += rng.poisson(INVENTED * (1 - share) * (expected == 0))
    groups = tuple(map(str, document)) if kind.documents else ()
    return hits.astype(float), expected.astype(float), (hits + false).astype(float), groups


def share_found(cell: Cell) -> float:
    """Solve for the share of items found, p, at which 2 p items / (2 items + (1 - p) invented) is the true micro-F1."""
    kind = KINDS[cell.kind]
    invented = INVENTED * float(np.exp(-kind.items)) if kind.may_be_empty else 0.0
    return cell.true * (2 * kind.items + invented) / (2 * kind.items + cell.true * invented)


def summarise(found: Sequence[Judged]) -> Json:
    """Summarise all cells, by kind, true score and size, and how many keep their level."""
    return {
        "all": _figures(found),
        "cells_within": rate(LEAST <= each.held <= MOST for each in found),
        "cells_below": rate(each.held < LEAST for each in found),
        "lowest_and_highest": [round(pick(each.held for each in found), 4) for pick in (min, max)],
        "kinds": {kind: _figures(each for each in found if each.cell.kind == kind) for kind in KINDS},
        "true_by_examples": {
            f"{true}, {n}": _figures(each for each in found if (each.cell.true, each.cell.n) == (true, n))
            for true in TRUE
            for n in SIZES
        },
        "cells": {f"{each.cell.kind}, {each.cell.true}, {each.cell.n}": round(each.held, 4) for each in found},
    }


def _figures(found: Iterable[Judged]) -> Json:
    listed = list(found)
    of = sum(each.of for each in listed)
    return {
        "held": round(1 - sum(each.above + each.below for each in listed) / of, 4),
        "above": round(sum(each.above for each in listed) / of, 4),
        "below": round(sum(each.below for each in listed) / of, 4),
        "width_points": mean(each.width for each in listed)["mean"],
        "of": of,
    }


def text(result: Json) -> str:
    """Write the result as a few lines to read: the share held by true score and number of examples."""
    lines = [
        f"held {result['all']['held']}, cells {result['lowest_and_highest']}, width {result['all']['width_points']}, "
        f"cells within {result['cells_within']['rate']}, below {result['cells_below']['rate']}",
        f"{'true':>24}" + "".join(f"{n:>9}" for n in SIZES),
    ]
    for true in TRUE:
        row = [100 * result["true_by_examples"][f"{true}, {n}"]["held"] for n in SIZES]
        lines.append(f"{true:>24}" + "".join(f"{each:8.1f}%" for each in row))
    lines += [f"{kind:>24} {100 * each['held']:.1f}%" for kind, each in result["kinds"].items()]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = written_results.arguments("Judge the intervals of micro-F1.", name=NAME, seed=SEED)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each cell")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
