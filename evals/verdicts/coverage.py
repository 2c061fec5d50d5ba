"""Test whether the intervals and tests of macro-F1 keep their level: `python evals/verdicts/coverage.py`.

Samples of worlds whose true scores are known; the README beside this file explains the design. Every world draws from
its own seed, so that it is the same whatever the number of workers.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import worlds
from summary import mean, rate

from llmtl import Role
from llmtl.metrics import ONE_LABEL
from llmtl.metrics.summed import compare_sums, counts_of, interval_of
from llmtl.task import Metric

sys.path.append(str(Path(__file__).parents[1]))
written_results = import_module("written_results")

NAME = "coverage"
SEED = 20261126
SIZES = {2: (100, 300, 1000), 6: (100, 300, 1000), 20: (100, 300, 1000), 77: (300, 1000, 3000)}
"""Numbers of labels, and of examples with each."""
KINDS = ("same", "level", "apart")
SAMPLES = 20
"""Samples of one world for which intervals and tests are computed."""
FURTHER = 400
"""Further samples of it, whose mean score is the expected one, with a twentieth of one sample's standard error."""
INTERVAL_RESAMPLES, RESAMPLES = 500, 1000
Json = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """One world to make and sample."""

    labels: int
    n: int
    kind: str
    seed: tuple[int, int]


@dataclass(frozen=True)
class Sampled:
    """What the engine said about one sample, against the expected score and difference."""

    order: Order
    score_low: bool
    score_high: bool
    low: bool
    high: bool
    at_least: bool
    at_most: bool
    rejected: bool
    score_width: float
    width: float
    seconds: float


def main() -> int:
    """Measure and write the result; the exit code is always 0, the README discusses the figures."""
    options = _options()
    start = time.perf_counter()
    wanted = orders(options.worlds, options.seed)
    samples = written_results.in_processes(sampled, wanted, workers=options.workers, chunksize=4)
    found = [sample for each in samples for sample in each]
    result = {
        "what": "coverage of the intervals and level of the test of macro-F1, in worlds whose truth is known",
        **written_results.circumstances(["evals/verdicts/coverage.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "design": {
            "seed": options.seed,
            "worlds_of_each": options.worlds,
            "samples_of_each_world": SAMPLES,
            "labels_and_examples": SIZES,
            "kinds": KINDS,
            "resamples": [INTERVAL_RESAMPLES, RESAMPLES],
        },
        "engines": {"general": summarise(found)},
    }
    print(text(result))
    print(written_results.write_result(options.name, result).name)
    return 0


def orders(count: int, seed: int) -> list[Order]:
    """List `count` worlds of every kind, number of labels and size."""
    cells = [(labels, n, kind) for labels, sizes in SIZES.items() for n in sizes for kind in KINDS]
    return [Order(*cell, (seed, number)) for number, cell in enumerate(cell for cell in cells for _ in range(count))]


def make_world(order: Order, rng: np.random.Generator) -> worlds.World:
    """Make two strategies: alike in everything, equal only in macro-F1, or 0 to 20 points apart."""
    best = rng.uniform(*worlds.BEST)
    truth = np.array([best, best - (rng.uniform(0, worlds.WIDEST_GAP) if order.kind == "apart" else 0.0)])
    answers = worlds.several_labels(truth, rng.dirichlet(np.full(order.labels, 10.0)), rng)
    correlation = rng.uniform(*worlds.CORRELATION, size=2)
    if order.kind == "same":
        answers = worlds.Answers(answers.shares, answers.right[[0, 0]], answers.confusion)
        correlation[1] = correlation[0]
    return worlds.World(
        kind=order.kind,
        metric=Metric.MACRO_F1,
        names=("a", "b"),
        roles=(Role.BASELINE, Role.PROMPTING),
        truth=truth,
        latent=worlds.latent_correlation(truth, correlation),
        usd_per_1k=np.zeros(2),
        train_usd=np.zeros(2),
        n_dev=order.n,
        n_test=order.n,
        answers=answers,
    )


def sampled(order: Order) -> list[Sampled]:
    """Draw the samples of one world, and compute intervals and tests for each."""
    rng = np.random.default_rng(order.seed)
    world = make_world(order, rng)
    expected = np.mean([observed(order.labels, *worlds.draw(world, order.n, rng)) for _ in range(FURTHER)], axis=0)
    names = [f"label-{code:02}" for code in range(order.labels)]
    found = []
    for number in range(SAMPLES):
        drawn = worlds.draw(world, order.n, rng)
        references, *pair = ([names[code] for code in column] for column in (drawn[0], *drawn[1].T))
        found.append(_sampled(order, (references, pair, names), expected, number))
    return found


def _sampled(
    order: Order,
    drawn: tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]],
    expected: worlds.Floats,
    seed: int,
) -> Sampled:
    references, pair, names = drawn
    # between two equal strategies the expected difference is known
    apart = 0.0 if order.kind == "same" else float(expected[0] - expected[1])
    start = time.perf_counter()
    measure = ONE_LABEL.measure(Metric.MACRO_F1, references, labels=names)
    a, b = (counts_of(measure, references, [answers]) for answers in pair)
    score = interval_of(measure.value, a, resamples=INTERVAL_RESAMPLES, seed=seed)
    found = compare_sums(measure.value, a, b, wins=(0, 0), resamples=RESAMPLES, seed=seed)
    seconds = time.perf_counter() - start
    return Sampled(
        order=order,
        score_low=bool(score.low <= expected[0]),
        score_high=bool(score.high >= expected[0]),
        low=found.low <= apart,
        high=found.high >= apart,
        at_least=found.at_least <= apart,
        at_most=found.at_most >= apart,
        rejected=found.p <= 0.05,
        score_width=100 * (score.high - score.low),
        width=100 * (found.high - found.low),
        seconds=seconds,
    )


def observed(labels: int, references: worlds.Codes, answers: worlds.Codes) -> worlds.Floats:
    """Compute the macro-F1 of each column of answers, over the labels that occur."""
    found = []
    for column in answers.T:
        hits = np.bincount(references[references == column], minlength=labels)
        sizes = np.bincount(references, minlength=labels) + np.bincount(column, minlength=labels)
        found.append(float((2 * hits[sizes > 0] / sizes[sizes > 0]).mean()))
    return np.array(found)


def summarise(found: Sequence[Sampled]) -> Json:
    """Summarise all samples, and by number of labels and size."""
    by = {
        f"{labels} labels, {n} examples": _figures(
            [item for item in found if (item.order.labels, item.order.n) == (labels, n)]
        )
        for labels, sizes in SIZES.items()
        for n in sizes
    }
    return {"all": _figures(found), "by": by}


def _figures(found: Sequence[Sampled]) -> Json:
    return {
        "score_covered": rate(item.score_low and item.score_high for item in found),
        "score_too_high": rate(not item.score_low for item in found)["rate"],
        "difference_covered": rate(item.low and item.high for item in found),
        "at_least_holds": rate(item.at_least for item in found),
        "at_most_holds": rate(item.at_most for item in found),
        "rejected_where_alike": rate(item.rejected for item in found if item.order.kind == "same"),
        "rejected_where_level": rate(item.rejected for item in found if item.order.kind == "level"),
        "score_width_points": mean(item.score_width for item in found)["mean"],
        "difference_width_points": mean(item.width for item in found)["mean"],
        "seconds": mean(item.seconds for item in found)["mean"],
    }


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    columns = [name for name, value in result["engines"]["general"]["all"].items() if isinstance(value, dict)]
    lines = [f"{'':34}" + "".join(f"{name.replace('_', ' ')[:18]:>20}" for name in columns)]
    for engine, figures in result["engines"].items():
        for name, row in {"all": figures["all"], **figures["by"]}.items():
            shares = "".join(f"{100 * row[column]['rate']:19.1f}%" for column in columns)
            lines.append(f"{engine:9}{name:25}{shares}  {row['score_width_points']:.1f} {row['seconds']:.3f} s")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = written_results.arguments("Judge the intervals and tests of macro-F1.", name=NAME, seed=SEED)
    parser.add_argument("--worlds", type=int, default=5, help="worlds of each kind, number of labels and size")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
