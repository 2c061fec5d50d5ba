"""Evaluations with known truth: predictions made up from right/wrong patterns, costs and latencies as given."""

from dataclasses import replace

import numpy as np

from llmtl.costs import PriceConfig, StatedCost
from llmtl.decision.bets import place_bets
from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.evidence import gather
from llmtl.decision.ranking import Ranking
from llmtl.decision.verdict import rule
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics import accuracy, score
from llmtl.metrics.intervals import Interval
from llmtl.strategy import Prediction, Role
from llmtl.task import Metric, Task

LABELS = ("a", "b", "c", "d")
TASK = Task("routing", LABELS)
PRICES = PriceConfig(requests_per_month=10_000, months=12)
CONFIG = DecisionConfig(resamples=1000)
ROLES = {
    "majority": Role.BASELINE,
    "tfidf": Role.BASELINE,
    "embedding-head": Role.FEATURES,
    "zero-shot": Role.PROMPTING,
    "few-shot": Role.PROMPTING,
    "knn-few-shot": Role.PROMPTING,
    "setfit": Role.TUNING,
    "encoder": Role.TUNING,
    "qlora": Role.TUNING,
}
USD_PER_1K = {
    "majority": 0.0001,
    "tfidf": 0.001,
    "embedding-head": 0.005,
    "zero-shot": 0.01,
    "few-shot": 0.04,
    "knn-few-shot": 0.08,
    "setfit": 0.005,
    "encoder": 0.006,
    "qlora": 0.0101,
}
TRAIN_USD = {"qlora": 5.0}
"""Over 120,000 requests: zero-shot 1.20, few-shot 4.80, qlora 6.21, knn-few-shot 9.60."""


def evaluation(name, right, *, split="test", failed=(), intervals=True, usd=None, usd_fitting=None, **changes):
    """Return an evaluation with right answers where `right` is true and failures at the indices `failed`.

    `usd` is the cost of 1,000 requests and `usd_fitting` that of fitting, where they are not the usual ones.

    Without `intervals` there is only the bare accuracy: enough for choice and verdict, and much faster.
    """
    right = np.asarray(right, dtype=bool)
    references = [LABELS[i % len(LABELS)] for i in range(len(right))]
    guesses = [LABELS[(i if ok else i + 1) % len(LABELS)] for i, ok in enumerate(right)]
    guesses = [None if i in set(failed) else guess for i, guess in enumerate(guesses)]
    predictions = tuple(
        Prediction(id=f"{split}-{i}", answer=guess, failure="made up" if guess is None else None)
        for i, guess in enumerate(guesses)
    )
    made = Evaluation(
        strategy=name,
        role=ROLES[name],
        split=split,
        predictions=predictions,
        references=tuple(references),
        scores=score(references, guesses, labels=LABELS, resamples=100) if intervals else _points(references, guesses),
        seconds=1.0,
        p50_ms=5.0,
        p95_ms=9.0,
        train_seconds=None,
        prompt_tokens_per_request=0.0,
        cached_tokens_per_request=0.0,
        completion_tokens_per_request=0.0,
        peak_memory_gib=1.0,
        stated=StatedCost(
            (USD_PER_1K[name] if usd is None else usd) / 1000,
            TRAIN_USD.get(name, 0.0) if usd_fitting is None else usd_fitting,
        ),
    )
    return replace(made, **changes)


def _points(references, guesses):
    value = accuracy(references, guesses)
    return {"accuracy": Interval(value, value, value)}


def exactly(share, n, *, offset=0):
    """Return n outcomes of which `share` are right, the wrong ones in one run that starts at `offset`."""
    wrong = round(n * (1 - share))
    outcomes = np.ones(n, dtype=bool)
    outcomes[(offset + np.arange(wrong)) % n] = False
    return outcomes


def both(n, **shares):
    """Return outcomes for dev and test with the same exact scores; test has its errors elsewhere."""
    names = {name.replace("_", "-"): share for name, share in shares.items()}
    return (
        {name: exactly(share, n) for name, share in names.items()},
        {name: exactly(share, n, offset=7 * i) for i, (name, share) in enumerate(names.items())},
    )


def drawn(accuracies, n, rng, *, shared=0.5):
    """Return random outcomes a strategy; with probability `shared` an example is as hard for all of them."""
    common = rng.random(n)
    is_shared = rng.random(n) < shared
    return {name: np.where(is_shared, common, rng.random(n)) < share for name, share in accuracies.items()}


def evaluations(outcomes, split, **options):
    """Return one evaluation a strategy, in table order."""
    return [evaluation(name, outcomes[name], split=split, **options) for name in ROLES if name in outcomes]


def run(dev, test, *, task=TASK, config=CONFIG, prices=PRICES):
    """Return the decision over outcomes on dev and test."""
    on_dev, on_test = evaluations(dev, "dev"), evaluations(test, "test")
    choice = choose(task, on_dev, config=config, prices=prices, written_at="2026-11-23T12:00:00Z")
    return decide(task, choice, dev=on_dev, test=on_test, config=config, prices=prices)


def rulings(truth, *, worlds, n_dev, n_test, seed, task=TASK):
    """Return the ruling in each of many random worlds where strategies have the true accuracies `truth`."""
    rng = np.random.default_rng(seed)
    return [_ruling(drawn(truth, n_dev, rng), drawn(truth, n_test, rng), task) for _ in range(worlds)]


def _ruling(dev, test, task):
    intervals = task.metric is not Metric.ACCURACY
    on_dev, on_test = (evaluations(*part, intervals=intervals) for part in ((dev, "dev"), (test, "test")))
    choice = choose(task, on_dev, config=CONFIG, prices=PRICES, written_at="then")
    evidence = gather(choice, {item.strategy: item for item in on_test}, metric=task.metric, config=CONFIG)
    ranking = Ranking(tuple(on_dev), task.metric, PRICES)
    return rule(
        choice, evidence, ranking, place_bets(ranking, choice, {item.strategy: item for item in on_test}, seed=0)
    )
