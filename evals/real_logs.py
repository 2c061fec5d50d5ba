"""Judge verdicts on real answers: `python evals/real_logs.py`. What does a verdict give away where the truth is known?

The logs are 131 runs of Llama-2-7B by in-context learning on 250 questions each (`shared/data/icl_logs`; the command
says so and stops where they are not there): two data sets, random or nearest demonstrations, 1 to 200 of them, several
draws. Cost grows with the demonstrations, and so does the score: what worlds with independent costs miss.

A problem is some of these runs. Its dev and test examples are drawn with replacement from the 250 questions, so that
the share of these that a run gets right is its true score, exactly. Kinds of problems:

    natural       2 to 8 runs of different kinds; the cheapest stands in for a baseline
    no-baseline   the same without a baseline
    near-ties     runs within 4 points of each other, the cheapest standing in for a baseline
    null          the runs' answers to each question are shuffled among them: all are exactly as good
    two-draws     natural, of runs with several draws: dev sees one, test two, and the truth is the mean of all

The rules are llmtl's and the naive ones of `verdicts/rules.py`, judged as there (`verdicts/README.md`). Not covered:
tuned models, and metrics other than accuracy.
"""

import argparse
import gzip
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).with_name("verdicts")))

import rules
import summary
import truth
import worlds
from written_results import circumstances, in_processes, write_result

from llmtl import Evaluation, Role
from llmtl.task import Draw, Metric

LOGS = Path(__file__).resolve().parents[2] / "shared" / "data" / "icl_logs" / "llama-2-7b.jsonl.gz"
SEED = 20261127
KINDS = ("natural", "no-baseline", "near-ties", "null", "two-draws")
STRATEGIES = (2, 8)
EXAMPLES = (50, 500)
NEAR = 0.04
TOKENS = {"banking77": (60, 30), "trec": (20, 20)}
"""Roughly how many tokens a question takes, and one more demonstration: only the ratios of costs matter here."""
USD_PER_TOKEN = 2e-7
Right = NDArray[np.bool_]


@dataclass(frozen=True)
class Arm:
    """Runs of one kind: `right` (D, 250) for D draws, and the tokens of one request."""

    right: Right
    tokens: float


@dataclass(frozen=True)
class Order:
    """One problem to make from the logs and judge."""

    logs: Path
    kind: str
    seed: int
    number: int


@dataclass(frozen=True)
class Problem:
    """What is decided, and the answers on dev and test: right or wrong, (K, n) on dev, (D, K, n) on test."""

    world: worlds.World
    dev: Right
    test: Right


def main() -> int:
    """Judge all problems and write the result; exit code 0 if all bars are met."""
    options = _options()
    if not options.logs.is_file():
        print(f"There are no logs at {options.logs}; nothing is judged. Give their path with --logs.")
        return 0
    start = time.perf_counter()
    wanted = [Order(options.logs, kind, options.seed, at) for kind in KINDS for at in range(options.problems)]
    found = in_processes(outcome, wanted, workers=options.workers)
    figures = summary.rule_figures(found)
    result = {
        "what": "llmtl's verdicts and naive rules on real answers of Llama-2-7B, by in-context learning",
        **circumstances(["evals/real_logs.py", *sys.argv[1:]], packages=("numpy", "scipy")),
        "seconds": round(time.perf_counter() - start, 1),
        "seed": options.seed,
        "problems": len(found),
        "bars": summary.rule_bars(figures),
        "rules": figures,
        "by_kind": {kind: summary.rule_figures([item for item in found if item.kind == kind]) for kind in KINDS},
        "after_a_tie": _after_ties(found),
    }
    print(f"{len(found)} problems, {result['seconds']} s", *summary.rule_lines(figures), sep="\n")
    for kind in KINDS:
        print(kind, *summary.rule_lines(result["by_kind"][kind])[1:], sep="\n")
    print(*(f"{'met ' if met else 'MISSED'} {bar}" for bar, met in result["bars"].items()), sep="\n")
    print(write_result("real_logs", result))
    return 0 if all(result["bars"].values()) else 1


def outcome(order: Order) -> summary.Outcome:
    """Make one problem and judge every rule on it."""
    rng = np.random.default_rng((order.seed, KINDS.index(order.kind), order.number))
    problem = make_problem(order.kind, read_arms(order.logs), rng)
    dev, test = evaluations(problem)
    said = {
        summary.LLMTL: rules.llmtl(problem.world, dev, test),
        **rules.naive(problem.world, rules.scores_of(problem.world, dev), rules.scores_of(problem.world, test)),
    }
    world = problem.world
    return summary.Outcome(
        number=order.number,
        kind=order.kind,
        metric=world.metric,
        strategies=len(world.names),
        n_dev=world.n_dev,
        n_test=world.n_test,
        llm_is_better=truth.llm_is_better(world),
        spread_out=truth.is_spread_out(world),
        power=None,
        evaluations=None,
        rising=True,
        drawn=order.kind == "two-draws",
        judged={name: truth.judge(world, verdict, rules.CONFIG.margin) for name, verdict in said.items()},
    )


@cache
def read_arms(logs: Path) -> Mapping[str, list[Arm]]:
    """Read the runs by data set, those of one kind together."""
    found: dict[tuple[str, str, int], list[list[bool]]] = defaultdict(list)
    with gzip.open(logs, "rt", encoding="utf-8") as lines:
        for line in lines:
            run = json.loads(line)
            right = [bool(item[2]) for _, item in sorted(run["items"].items())]
            found[run["dataset"], run["arm"], run["shots"]].append(right)
    arms: dict[str, list[Arm]] = defaultdict(list)
    for (data, _, shots), draws in found.items():
        alone, each = TOKENS[data]
        arms[data].append(Arm(np.array(draws), alone + each * shots))
    return arms


def make_problem(kind: str, arms: Mapping[str, list[Arm]], rng: np.random.Generator) -> Problem:
    """Draw one problem of a kind."""
    data = str(rng.choice(sorted(arms)))
    draws = 2 if kind == "two-draws" else 1
    usable = [arm for arm in arms[data] if len(arm.right) > draws]
    picked = _picked(kind, usable if draws > 1 else arms[data], rng)
    picked = sorted(picked, key=lambda arm: arm.tokens)
    seeds = [rng.permutation(len(arm.right)) for arm in picked]
    answers = np.stack(
        [arm.right[order[:draws]] for arm, order in zip(picked, seeds, strict=True)], axis=1
    )  # (D, K, N)
    scores = answers[0].mean(axis=1) if draws == 1 else np.array([arm.right.mean() for arm in picked])
    baselines = 0 if kind == "no-baseline" else 1
    roles = (Role.BASELINE,) * baselines + (Role.PROMPTING,) * (len(picked) - baselines)
    world = worlds.World(
        kind=kind,
        metric=Metric.ACCURACY,
        names=tuple(f"run-{at}" for at in range(len(picked))),
        roles=roles,
        truth=np.full(len(picked), scores.mean()) if kind == "null" else scores,
        latent=np.zeros(len(picked)),
        usd_per_1k=1000 * USD_PER_TOKEN * np.array([arm.tokens for arm in picked]),
        train_usd=np.zeros(len(picked)),
        n_dev=worlds.log_whole(EXAMPLES, rng),
        n_test=worlds.log_whole(EXAMPLES, rng),
        answers=worlds.two_labels(scores),
    )
    dev, test = (_sample(kind, answers, n, rng) for n in (world.n_dev, world.n_test))
    return Problem(world, dev[0], test)


def _picked(kind: str, arms: list[Arm], rng: np.random.Generator) -> list[Arm]:
    """Pick 2 to 8 runs of different cost; for near ties such as score alike."""
    arms = [arms[at] for at in rng.permutation(len(arms))]
    number = int(rng.integers(STRATEGIES[0], STRATEGIES[1] + 1))
    if kind == "near-ties":
        first = arms[0].right.mean()
        arms = sorted(arms, key=lambda arm: abs(float(arm.right.mean()) - first))
        number = max(2, min(number, sum(abs(float(arm.right.mean()) - first) <= NEAR for arm in arms)))
    found: dict[float, Arm] = {}
    for arm in arms:
        found.setdefault(arm.tokens, arm)
    return list(found.values())[:number]


def _sample(kind: str, answers: Right, n: int, rng: np.random.Generator) -> Right:
    """Draw n of the questions with replacement; for `null`, shuffle each question's answers among the runs."""
    drawn = answers[:, :, rng.integers(0, answers.shape[2], n)]
    return rng.permuted(drawn, axis=1) if kind == "null" else drawn


def evaluations(problem: Problem) -> tuple[tuple[Evaluation, ...], tuple[Evaluation, ...]]:
    """Make the evaluations on dev and test: a right answer is the first label, a wrong one the second."""
    draw = Draw.DEMONSTRATIONS if len(problem.test) > 1 else Draw.NONE
    made = []
    for split, right in (("dev", problem.dev[None]), ("test", problem.test)):
        draws, number, n = right.shape
        answers = (~right).astype(np.int64).reshape(draws * number, n).T
        made.append(rules.evaluations(problem.world, split, (np.zeros(n, dtype=np.int64), answers), draw=draw))
    return made[0], made[1]


def _after_ties(found: list[summary.Outcome]) -> dict[str, Any]:
    """Summarise what a tie gives away: how far what is used then lies below dev's choice."""
    ties = [item.judged[summary.LLMTL] for item in found if item.judged[summary.LLMTL].verdict == "tie"]
    return {
        "ties": len(ties),
        "moved": summary.rate(each.winner != each.chosen for each in ties),
        "raw_regret_points": summary.mean(each.raw_regret for each in ties),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Judge verdicts on real answers whose truth is known.")
    parser.add_argument("--logs", type=Path, default=LOGS, help="the logs (JSON Lines, gzip)")
    parser.add_argument("--problems", type=int, default=400, help="problems of each kind")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
