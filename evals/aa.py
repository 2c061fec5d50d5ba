"""Compare strategies with themselves: `python evals/aa.py`. How often is one draw called different from another one?

On real logs (Llama-2-7B with random demonstrations, 5 draws for each number of shots; skipped where the logs are not
there) and on simulated arms whose draws are known to be of one strategy: the rate of p <= 0.05 with one draw each and
the test as for draws that do not matter, with one draw and the stated spread, and with two and three draws. The rate is
to be at most 5%. What that costs is how often a true difference of 10 points is seen. Every simulated pair draws from
its own seed, so that it is the same whatever the number of workers.

Not covered: the verdict (`verdicts/`), which corrects for the number of comparisons.
"""

import argparse
import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import norm
from written_results import arguments, circumstances, in_processes, write_result

from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.between_draws import DEGREES, STATED
from llmtl.metrics.intervals import Interval, wilson
from llmtl.strategy import Prediction, Role
from llmtl.task import Draw, Metric

Right = NDArray[np.bool_]
"""Which examples are right, (R, N) for R draws."""
Json = dict[str, Any]
LOGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "icl_logs" / "llama-2-7b.jsonl.gz"
SEED = 20261127
ALPHA = 0.05
STATED_SHARE = STATED[Draw.DEMONSTRATIONS]
WAYS = ("one draw, taken as the only one", "one draw, widened", "two draws", "three draws")
"""The first is what llmtl did before, the others what it does."""
SPREADS: Mapping[str, Callable[[np.random.Generator], float]] = {
    "no spread": lambda rng: 0.0,
    "half the stated spread": lambda rng: STATED_SHARE / 2,
    "the stated spread": lambda rng: STATED_SHARE,
    "spreads around the stated one": lambda rng: STATED_SHARE * float(np.sqrt(DEGREES / rng.chisquare(DEGREES))),
}
"""The standard deviation between draws as a share of sqrt(s (1 - s)) for a score s."""
SIZES = (100, 300, 1000)
APART = 0.10
SCORES = (0.55, 0.90)
CORRELATION = (0.3, 0.7)
"""Of the latent ability to answer an example, between two draws and between two strategies."""


@dataclass(frozen=True)
class Order:
    """One simulated pair: how draws spread, the number of examples, the true difference."""

    spread: str
    n: int
    apart: float
    seed: tuple[int, int]


def main() -> int:
    """Measure and write the result; the exit code is 1 where a way that llmtl goes misses the bar."""
    options = _options()
    start = time.perf_counter()
    logs = measured_on_logs(read_logs(options.logs)) if options.logs.is_file() else None
    wanted = orders(options.pairs, options.seed)
    found = in_processes(simulated, wanted, workers=options.workers, chunksize=20)
    result = {
        "what": "how often a strategy is called different from itself (p <= 0.05), by how many draws are compared",
        **circumstances(["evals/aa.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "bar": ALPHA,
        "stated_share": {str(draw): share for draw, share in STATED.items()},
        "logs": logs,
        "simulated": summarise(wanted, found),
    }
    print(text(result))
    print(write_result(options.name, result).name)
    return 0 if holds(result) else 1


def compared(a: Right, b: Right, draw: Draw) -> bool:
    """Tell whether llmtl calls two strategies different, each with the draws that are given."""
    found = compare_evaluations(
        _evaluation("a", a, draw), _evaluation("b", b, draw), Metric.ACCURACY, DecisionConfig(resamples=2000)
    )
    return found.p <= ALPHA


def _evaluation(name: str, right: Right, draw: Draw) -> Evaluation:
    """Make the evaluation of a strategy that answers 1 where it is right."""
    runs = [tuple(Prediction(str(at), str(int(ok))) for at, ok in enumerate(row)) for row in right]
    share = float(right[0].mean())
    return Evaluation(
        strategy=name,
        role=Role.PROMPTING,
        split="test",
        predictions=runs[0],
        references=("1",) * right.shape[1],
        scores={Metric.ACCURACY.value: Interval(share, share, share)},
        seconds=None,
        p50_ms=None,
        p95_ms=None,
        train_seconds=None,
        prompt_tokens_per_request=0.0,
        cached_tokens_per_request=0.0,
        completion_tokens_per_request=0.0,
        peak_memory_gib=None,
        labels=("0", "1"),
        seed_predictions=tuple(runs[1:]),
        draw=draw,
    )


def read_logs(path: Path) -> dict[tuple[str, str, int], Right]:
    """Read the arms with several draws: by data set, arm and shots, (R, N)."""
    arms: defaultdict[tuple[str, str, int], list[Mapping[str, Any]]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            arms[row["dataset"], row["arm"], row["shots"]].append(row["items"])
    found = {}
    for key, draws in arms.items():
        ids = sorted(set.intersection(*(set(items) for items in draws)))
        if len(draws) > 1:
            found[key] = np.array([[bool(items[each][2]) for each in ids] for items in draws])
    return found


def between_draws(right: Right) -> float:
    """Estimate the variance between draws as a share of s (1 - s), the noise of the examples taken off.

    The variance component of a two-way layout without replication (Searle, Casella & McCulloch 1992, "Variance
    Components", section 4.3); below 0 where draws differ less than the examples alone would make them.
    """
    rows = right.astype(float)
    draws, examples = rows.shape
    rest = rows - rows.mean(axis=1, keepdims=True) - rows.mean(axis=0, keepdims=True) + rows.mean()
    noise = float((rest**2).sum()) / ((draws - 1) * (examples - 1))
    score = float(rows.mean())
    return float(rows.mean(axis=1).var(ddof=1) - noise / examples) / (score * (1 - score))


def measured_on_logs(arms: Mapping[tuple[str, str, int], Right]) -> Json:
    """Measure the spread between draws and how often a strategy is called different from itself."""
    random = {key: right for key, right in arms.items() if key[1] == "random"}
    retrieved = {key: right for key, right in arms.items() if key[1] != "random"}
    return {
        "arms": len(random),
        "share": _shares(random.values()),
        "share_by_data_set": {
            name: _shares(right for key, right in random.items() if key[0] == name)
            for name in sorted({key[0] for key in random})
        },
        "called_different": _ways_on_logs(random),
        "called_different_by_data_set": {
            name: _ways_on_logs({key: right for key, right in random.items() if key[0] == name})
            for name in sorted({key[0] for key in random})
        },
        "retrieved": {
            "arms": len(retrieved),
            "share": _shares(retrieved.values()),
            "arms_whose_draws_all_agree": sum(bool((right == right[0]).all()) for right in retrieved.values()),
        },
    }


def _shares(arms: Iterable[Right]) -> Json:
    """Return the root mean square, the median and the extremes of the standard deviation between draws, as shares."""
    variances = np.array([between_draws(right) for right in arms])
    roots = np.sqrt(np.maximum(variances, 0))
    return {
        "root_mean_square": round(float(np.sqrt(max(0.0, variances.mean()))), 4),
        "median": round(float(np.median(roots)), 4),
        "most": round(float(roots.max()), 4),
    }


def _ways_on_logs(arms: Mapping[tuple[str, str, int], Right]) -> Json:
    """Count every pair, and every split of four or five draws into two sides; arms are what is independent."""
    ways: Mapping[str, Callable[[Right], list[bool]]] = {
        WAYS[0]: lambda right: [compared(right[[i]], right[[j]], Draw.NONE) for i, j in _sides(len(right), 1, 1)],
        WAYS[1]: lambda right: [
            compared(right[[i]], right[[j]], Draw.DEMONSTRATIONS) for i, j in _sides(len(right), 1, 1)
        ],
        WAYS[2]: lambda right: [compared(right[i], right[j], Draw.DEMONSTRATIONS) for i, j in _sides(len(right), 2, 2)],
        "three draws against two": lambda right: [
            compared(right[i], right[j], Draw.DEMONSTRATIONS) for i, j in _sides(len(right), 3, 2)
        ],
    }
    return {name: _rate_over_arms([way(right) for right in arms.values()]) for name, way in ways.items()}


def _sides(draws: int, first: int, second: int) -> list[tuple[Any, Any]]:
    """List the ways to take two sides of so many draws, each pair of sides once."""
    found = []
    for one in combinations(range(draws), first):
        for other in combinations([each for each in range(draws) if each not in one], second):
            if first != second or one < other:
                found.append((one[0], other[0]) if first == second == 1 else (list(one), list(other)))
    return found


def _rate_over_arms(called: Sequence[Sequence[bool]]) -> Json:
    """Return the rate with a 95% interval of the bootstrap over arms."""
    rates = np.array([np.mean(each) for each in called])
    rng = np.random.default_rng(SEED)
    resampled = rates[rng.integers(len(rates), size=(4000, len(rates)))].mean(axis=1)
    low, high = np.quantile(resampled, (0.025, 0.975))
    pairs = sum(len(each) for each in called)
    return {
        "pairs": pairs,
        "rate": round(float(rates.mean()), 4),
        "ci95": [round(float(low), 4), round(float(high), 4)],
    }


def orders(count: int, seed: int) -> list[Order]:
    """List `count` pairs of every spread and size, with themselves and 10 points apart."""
    cells = [(spread, n, apart) for apart in (0.0, APART) for spread in SPREADS for n in SIZES]
    return [Order(*cell, (seed, number)) for number, cell in enumerate(cell for cell in cells for _ in range(count))]


def simulated(order: Order) -> tuple[bool, ...]:
    """Tell for each way whether a simulated pair is called different."""
    rng = np.random.default_rng(order.seed)
    share, score = SPREADS[order.spread](rng), rng.uniform(*SCORES)
    shared = rng.uniform(*CORRELATION)
    hardness = rng.standard_normal(order.n)
    a, b = (draws(each, share, shared, hardness, rng) for each in (score, score - order.apart))
    pairs = ((1, Draw.NONE), (1, Draw.DEMONSTRATIONS), (2, Draw.DEMONSTRATIONS), (3, Draw.DEMONSTRATIONS))
    return tuple(compared(a[:number], b[:number], draw) for number, draw in pairs)


def draws(score: float, share: float, shared: float, hardness: NDArray[np.float64], rng: np.random.Generator) -> Right:
    """Draw three times which examples a strategy gets right; a draw moves its latent ability.

    By so much that its score has a standard deviation of `share` times sqrt(s (1 - s)), to first order.
    """
    level = float(ndtri(score))
    moved = level + share * np.sqrt(score * (1 - score)) / norm.pdf(level) * rng.standard_normal((3, 1))
    return np.asarray(rng.random((3, len(hardness))) < ndtr((moved - np.sqrt(shared) * hardness) / np.sqrt(1 - shared)))


def summarise(wanted: Sequence[Order], found: Sequence[tuple[bool, ...]]) -> Json:
    """Summarise the simulated pairs by spread, and those of all spreads by size."""

    def rates(apart: float, *, spread: str | None = None, n: int | None = None) -> Json:
        kept = [
            row
            for order, row in zip(wanted, found, strict=True)
            if order.apart == apart and spread in (None, order.spread) and n in (None, order.n)
        ]
        return {name: _rate([row[at] for row in kept]) for at, name in enumerate(WAYS)}

    return {
        "called_different": {spread: rates(0.0, spread=spread) for spread in SPREADS},
        "called_different_by_size": {str(n): rates(0.0, n=n) for n in SIZES},
        "seen_10_points_apart": {spread: rates(APART, spread=spread) for spread in SPREADS},
    }


def _rate(called: Sequence[bool]) -> Json:
    found = wilson(sum(called), len(called))
    return {"pairs": len(called), "rate": round(found.value, 4), "ci95": [round(found.low, 4), round(found.high, 4)]}


def holds(result: Json) -> bool:
    """Tell whether the ways that llmtl goes keep the bar, or miss it by no more than chance: on logs and simulated."""
    tables = [*result["simulated"]["called_different"].values()]
    tables += [result["logs"]["called_different"]] if result["logs"] else []
    return all(row["ci95"][0] <= ALPHA for table in tables for name, row in table.items() if name != WAYS[0])


def text(result: Json) -> str:
    """Write the result as a few lines to read."""
    lines = []
    if result["logs"]:
        logs = result["logs"]
        lines.append(f"spread between draws in logs: {logs['share']}, by data set {logs['share_by_data_set']}")
        lines += _table({"logs": logs["called_different"], **logs["called_different_by_data_set"]})
    for name, table in result["simulated"].items():
        lines += [name.replace("_", " "), *_table(table)]
    return "\n".join(lines)


def _table(table: Mapping[str, Json]) -> list[str]:
    return [
        f"  {name:32}" + "  ".join(f"{way}: {100 * row['rate']:.1f}%" for way, row in rates.items())
        for name, rates in table.items()
    ]


def _options() -> argparse.Namespace:
    parser = arguments("Compare strategies with themselves.", name="aa", seed=SEED)
    parser.add_argument("--logs", type=Path, default=LOGS, help="real logs; skipped where they are not there")
    parser.add_argument("--pairs", type=int, default=300, help="simulated pairs of every spread, size and difference")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
