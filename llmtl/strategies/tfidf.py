"""The `tfidf` strategy: TF-IDF features and logistic regression.

It is what a data scientist would try in ten minutes, and the from-scratch control: it knows nothing but the training
examples. Features and regularisation are chosen on dev; the model is fitted on train alone. Not covered: any number of
labels an input (`label_sets`, which fitting turns to for such a task), stemming, class weights, calibration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

import numpy as np

from llmtl.classical.config import Features, TfidfConfig
from llmtl.classical.features import Vectoriser, fit_vectorisers
from llmtl.classical.grid import best_on_dev, training_examples
from llmtl.classical.label_sets import LabelSetPredictor, label_set_points
from llmtl.classical.linear import LinearModel, path, predictions
from llmtl.metrics import accuracy, macro_f1
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, Prediction, Predictor, Role
from llmtl.task import Input, Task, references, texts_of

WEIGHTS_FILE = "weights.npz"


@dataclass(frozen=True)
class TfidfPredictor:
    """A fitted vectoriser and classifier; labels that train lacks have probability 0.

    `choice` holds `features` and `c`; `grid` one entry a point that was tried, with its dev scores.
    """

    task: Task
    vectoriser: Vectoriser
    model: LinearModel
    choice: Mapping[str, Any]
    grid: tuple[Mapping[str, Any], ...] = ()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return one prediction a text, in order."""
        texts = texts_of(inputs)
        start = perf_counter()
        rows = self.probabilities(self.vectoriser.rows(texts)) if texts else np.zeros((0, len(self.task.labels)))
        seconds_each = (perf_counter() - start) / max(1, len(texts))
        advance(len(texts))
        return predictions(self.task.labels, rows.tolist(), seconds_each=seconds_each)

    def probabilities(self, rows: Any) -> Any:
        """Return an array, N TF-IDF rows x C labels in the task's order."""
        known = self.model.probabilities(rows)
        probabilities = np.zeros((len(known), len(self.task.labels)))
        # the model has the labels of train in alphabetical order, the task all labels in its own
        probabilities[:, [self.task.labels.index(label) for label in self.model.labels]] = known
        return probabilities

    def labels_of(self, rows: Any) -> list[str]:
        """Return the predicted label of each TF-IDF row."""
        return [self.task.labels[index] for index in self.probabilities(rows).argmax(axis=1)]

    def state(self) -> dict[str, Any]:
        """Return the chosen features and C; the weights are in the strategy's folder."""
        return dict(self.choice)

    def details(self) -> dict[str, Any]:
        """Return the choice, the number of features and the grid with its dev scores."""
        return {**self.choice, "vocabulary": self.vectoriser.size, "grid": [dict(point) for point in self.grid]}


@dataclass(frozen=True)
class Tfidf:
    """The strategy; equal dev scores go to fewer features, then to stronger regularisation."""

    config: TfidfConfig = field(default_factory=TfidfConfig)
    name = "tfidf"
    role = Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor of the grid's best point on dev. Raises `DataError` without training examples."""
        wanted, strengths = sorted(set(self.config.features), key=len), sorted(set(self.config.c))
        fit = label_set_points if context.task.kind.lists else _points
        fitted: Iterable[tuple[TfidfPredictor | LabelSetPredictor, dict[str, float]]]
        fitted = fit(context, _vectorise(context, wanted), strengths)
        points = ((predictor, {**predictor.choice, **scores}) for predictor, scores in fitted)
        chosen, grid = best_on_dev(points, context, name=self.name, count=len(wanted) * len(strengths))
        best = replace(chosen, grid=grid)
        best.model.save(context.folder / WEIGHTS_FILE)
        return best

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the stored predictor: its vectoriser fitted again on train, its weights from the folder."""
        features: Features = state["features"]
        vectoriser, _ = _vectorise(context, [features])[features]
        make = LabelSetPredictor if context.task.kind.lists else TfidfPredictor
        return make(context.task, vectoriser, LinearModel.load(context.folder / WEIGHTS_FILE), choice=state)


def _vectorise(context: FitContext, wanted: Sequence[Features]) -> dict[Features, tuple[Vectoriser, Any]]:
    """Return the vectorisers fitted on the training texts, with the rows of those."""
    return fit_vectorisers([example.text for example in training_examples(context)], wanted)


def _points(
    context: FitContext,
    vectorised: Mapping[Features, tuple[Vectoriser, Any]],
    strengths: Sequence[float],
) -> Iterator[tuple[TfidfPredictor, dict[str, float]]]:
    """Yield each point of the grid, fitted on train, with its dev scores."""
    truth = references(context.dev)
    for features, (vectoriser, rows) in vectorised.items():
        dev_rows = vectoriser.rows([example.text for example in context.dev])
        models = path(rows, references(context.train), strengths)
        for c, model in zip(strengths, models, strict=True):
            predictor = TfidfPredictor(context.task, vectoriser, model, choice={"features": features, "c": c})
            guesses = predictor.labels_of(dev_rows)
            yield predictor, {"dev_accuracy": accuracy(truth, guesses), "dev_macro_f1": macro_f1(truth, guesses)}
