"""The `tfidf` strategy for any number of labels per input: a logistic regression per label, one threshold for all.

Binary relevance (one-vs-rest) on the same features; the threshold is the one that scores best on dev, since 0.5 is
rarely best for F1 (Lipton, Elkan & Narayanaswamy 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure").
Not covered: a threshold per label, dependence between labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from llmtl.answers import read_labels, write_labels
from llmtl.classical.config import Features
from llmtl.classical.features import Vectoriser
from llmtl.classical.files import linear_arrays, linear_facts, write_parts
from llmtl.classical.linear import LinearModel, path
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, LocalServed, Prediction
from llmtl.task import Input, Task, references, texts_of

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Tried on dev: 0.05 to 0.95."""


@dataclass(frozen=True)
class LabelSetPredictor:
    """A fitted vectoriser and one weight vector per label; labels that train lacks have probability 0.

    The probabilities of a prediction are of each label by itself: they do not sum to 1. An input has the labels of at
    least `choice["threshold"]`, which `choice` holds beside `features` and `c`.
    """

    task: Task
    vectoriser: Vectoriser
    model: LinearModel
    choice: Mapping[str, Any]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one per text."""
        texts = texts_of(inputs)
        if not texts:
            return []
        start = perf_counter()
        rows = self.probabilities(self.vectoriser.rows(texts))
        answers = answers_of(self.task, rows, self.choice["threshold"])
        seconds_each = (perf_counter() - start) / len(texts)
        advance(len(texts))
        return [
            Prediction(str(at), answer, dict(zip(self.task.labels, row, strict=True)), seconds=seconds_each)
            for at, (answer, row) in enumerate(zip(answers, rows.tolist(), strict=True))
        ]

    def probabilities(self, rows: Any) -> NDArray[np.float64]:
        """Compute an array, N TF-IDF rows x C labels in the task's order; rows do not sum to 1."""
        return np.asarray(expit(self.model.logits(rows)))

    def save(self, folder: Path) -> None:
        """Write choice, vocabulary and weights."""
        facts = {"choice": dict(self.choice), **linear_facts(self.model, self.vectoriser)}
        write_parts(folder, facts, linear_arrays(self.model, self.vectoriser))

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


def label_set_points(
    context: FitContext,
    vectorised: Mapping[Features, tuple[Vectoriser, Any]],
    strengths: Sequence[float],
) -> Iterator[tuple[LabelSetPredictor, list[str]]]:
    """Yield each point of the grid, fitted on train, at its best threshold on dev, with its dev answers there."""
    task, chosen = context.task, [read_labels(each.reference) for each in context.train]
    for features, (vectoriser, rows) in vectorised.items():
        dev_rows = vectoriser.rows([example.text for example in context.dev])
        for c, model in zip(strengths, one_vs_rest(rows, chosen, task.labels, strengths), strict=True):
            predictor = LabelSetPredictor(task, vectoriser, model, choice={"features": features, "c": c})
            threshold, answers = best_threshold(predictor.probabilities(dev_rows), context)
            choice = {**predictor.choice, "threshold": threshold}
            yield LabelSetPredictor(task, vectoriser, model, choice=choice), answers


def one_vs_rest(
    rows: Any, chosen: Sequence[Sequence[str]], labels: Sequence[str], strengths: Sequence[float]
) -> Iterator[LinearModel]:
    """Yield at each C of `strengths`, which rise, one weight vector for each of `labels` against all others."""
    paths = [path(rows, ["yes" if label in each else "no" for each in chosen], strengths) for label in labels]
    for models in zip(*paths, strict=True):
        weights, intercepts = zip(*map(_against_no, models), strict=True)
        yield LinearModel(tuple(labels), np.vstack(weights), np.array(intercepts, np.float32))


def _against_no(model: LinearModel) -> tuple[NDArray[np.float32], np.float32]:
    """Return the weights and the intercept of "yes" less those of "no"; certain where train knows only one."""
    if len(model.labels) == 1:
        return model.weights[0], np.float32(np.inf if model.labels == ("yes",) else -np.inf)
    return model.weights[1] - model.weights[0], model.intercepts[1] - model.intercepts[0]


def answers_of(task: Task, probabilities: NDArray[np.float64], threshold: float | Sequence[float]) -> list[str]:
    """Write the canonical answer of each row of probabilities: labels of at least the threshold, or each its own."""
    labels = np.array(task.labels, dtype=object)
    return [write_labels(labels[row >= np.asarray(threshold)], task.labels) for row in probabilities]


def best_threshold(probabilities: NDArray[np.float64], context: FitContext) -> tuple[float, list[str]]:
    """Find the threshold of the best dev score, the nearest to 0.5 of equals, with the dev answers there."""
    task = context.task
    measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
    tried = {each: answers_of(task, probabilities, each) for each in THRESHOLDS}
    scores = {each: measure.score(answers) for each, answers in tried.items()}
    best = max(THRESHOLDS, key=lambda threshold: (scores[threshold], -abs(threshold - 0.5)))
    return best, tried[best]
