"""Measure curves of learners that need no language model: `python evals/learning_curves/classical.py --data DATA`.

Several learners on several tasks and draws of train, each at sizes to show and at twice and four times the largest of
those. `mlp` is a network that is trained for a fixed number of epochs, as fine-tuning is, so that it starts late: few
examples are few steps. What was measured is kept in `curves/classical.json`; a group that is there is not measured
again. Not covered: judging forecasts of these (`real_curves`).
"""

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import real
from numpy.typing import NDArray

from llmtl.answers import Span, write_spans
from llmtl.classical.features import fit_vectorisers
from llmtl.engines.protocol import ModelSource
from llmtl.kinds.extraction import EXTRACTION
from llmtl.strategies.crf import Crf, CrfConfig
from llmtl.strategies.nearest import Nearest
from llmtl.strategies.tfidf import Tfidf
from llmtl.strategy import AnyStrategy, FitContext, Prediction, Predictor
from llmtl.task import Example, Metric, Split, Task, references

CURVES = Path(__file__).parent / "curves" / "classical.json"
EPOCHS, HIDDEN, BATCH = 10, 64, 16
DRAWS = 3
MOST_LABELS = 30
MOST_TRAIN, MOST_TEST = 1280, 1000


class Network:
    """A network with one hidden layer on TF-IDF, trained for a fixed number of epochs (scikit-learn's defaults)."""

    def __init__(self, texts: list[str], labels: list[str], seed: int) -> None:
        from sklearn.neural_network import MLPClassifier

        self.vectoriser, rows = fit_vectorisers(texts, ["word"])["word"]
        self.model = MLPClassifier((HIDDEN,), batch_size=min(BATCH, len(texts)), max_iter=EPOCHS, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that ten epochs are few, which is the point
            self.model.fit(rows, labels)

    def predict(self, inputs: list[str]) -> list[Prediction]:
        """Answer with the most probable label."""
        found = self.model.predict(self.vectoriser.rows(inputs))
        return [Prediction(id=str(at), answer=str(answer), seconds=0.0) for at, answer in enumerate(found)]


def measured(data: Path, kept: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the curves of every task and learner that is not among those kept."""
    done = {(row["learner"], row["data"], row["seed"]) for row in kept}
    for wanted in tasks(data):
        plan = real.planned(wanted)
        for learner, fit in learners(wanted).items():
            if (learner, wanted.name, wanted.seed) in done:
                continue
            scored = {size: _scored(plan, size, fit) for size in sorted(plan.on_dev | plan.on_test)}
            for sizes in plan.shown:
                yield _row(plan, learner, sizes, scored)


def tasks(data: Path) -> Iterator[real.Wanted]:
    """Yield the tasks of `real` that are learned within seconds, cut to what is needed, and spans of Restaurant8k."""
    for wanted in real.tasks(data):
        if len(wanted.task.labels) <= MOST_LABELS:
            yield replace(wanted, most_train=MOST_TRAIN, most_test=MOST_TEST)
    path = data / "restaurant8k" / "train.jsonl"
    if path.is_file():
        yield from _spans(path)


def _spans(path: Path) -> Iterator[real.Wanted]:
    found = []
    for name in ("train.jsonl", "test.jsonl"):
        for line in path.with_name(name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            spans = [Span(each["start"], each["end"], each["type"], each["text"]) for each in row["entities"]]
            found.append((row["text"], spans))
    types = tuple(sorted({span.type for _, spans in found for span in spans}))
    task = Task("spans", types, metric=Metric.EXACT_MATCH, kind=EXTRACTION)
    examples = tuple(Example(str(at), text, write_spans(spans)) for at, (text, spans) in enumerate(found))
    for seed in range(DRAWS):
        yield real.Wanted(
            "restaurant8k, spans", task, examples, dev=200, seed=seed, most_train=MOST_TRAIN, most_test=MOST_TEST
        )


def learners(wanted: real.Wanted) -> dict[str, real.Fit]:
    """Name what can learn the task, and how it is fitted."""
    if wanted.task.kind == EXTRACTION:
        return {"crf": _strategy(Crf(CrfConfig(c1=(0.1,), c2=(0.1,))))}
    found = {"tfidf": _strategy(Tfidf()), "nearest": _strategy(Nearest())}
    return {**found, "mlp": _network} if wanted.task.kind.one_label else found


def _strategy(strategy: AnyStrategy) -> real.Fit:
    def fit(wanted: real.Wanted, cut: Split, folder: Path) -> Predictor:
        source = ModelSource("none")
        context = FitContext(wanted.task, cut.train, cut.dev, source, real.no_engine, folder, seed=wanted.seed)
        return strategy.fit(context).predictor

    return fit


def _network(wanted: real.Wanted, cut: Split, folder: Path) -> Any:
    del folder
    return Network([example.text for example in cut.train], list(references(cut.train)), wanted.seed)


def _scored(plan: real.Plan, size: int, fit: real.Fit) -> dict[str, NDArray[np.bool_]]:
    dev, test = plan.wrong(size, fit)
    return {"dev": dev, "test": test}


def _row(plan: real.Plan, learner: str, sizes: tuple[int, ...], scored: dict[int, Any]) -> dict[str, Any]:
    """Write a curve down: `again` is the score on as many test examples as dev has, `truth` that on all of them."""
    dev = np.array([scored[size]["dev"] for size in sizes])
    count = dev.shape[1]
    further = {factor: scored[factor * sizes[-1]]["test"] for factor in real.FURTHER}
    return {
        "learner": learner,
        "data": plan.wanted.name,
        "seed": plan.wanted.seed,
        "sizes": list(sizes),
        "wrong": dev.sum(axis=1).tolist(),
        "examples": count,
        "covariance": (np.cov(dev.astype(float)) / count).round(8).tolist(),
        "again": {factor: round(1 - float(wrong[:count].mean()), 4) for factor, wrong in further.items()},
        "again_examples": min(len(wrong[:count]) for wrong in further.values()),
        "truth": {factor: round(1 - float(wrong.mean()), 4) for factor, wrong in further.items()},
        "truth_examples": len(plan.split.test),
    }


def main() -> int:
    """Measure what is missing, and write after each curve."""
    parser = argparse.ArgumentParser(description="Measure learning curves without a language model.")
    parser.add_argument("--data", type=Path, required=True, help="holds banking77, restaurant8k and e2e_nlg")
    options = parser.parse_args()
    rows = json.loads(CURVES.read_text()) if CURVES.is_file() else []
    for row in measured(options.data, list(rows)):
        rows.append(row)
        CURVES.parent.mkdir(exist_ok=True)
        CURVES.write_text("[\n" + ",\n".join(json.dumps(each) for each in rows) + "\n]\n")
        print(row["learner"], row["data"], row["seed"], row["sizes"], row["wrong"], row["truth"], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
