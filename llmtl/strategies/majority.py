"""The `majority` strategy: always the same answer, whatever the input.

    classification   the most frequent label
    multi-label      the most frequent set of labels
    extraction       no spans: exactly right wherever there is nothing to extract
    generation       the most central reference

Its score is the floor that anything useful must clear. Not covered: stratified or random guessing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from llmtl.classical.grid import training_examples
from llmtl.classical.linear import predictions
from llmtl.kinds.kind import Kind
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, Prediction, Predictor, Role
from llmtl.task import Example, Input, references


@dataclass(frozen=True)
class MajorityPredictor:
    """Predicts the label with the largest of `frequencies`, which has one entry a label in the task's order."""

    frequencies: Mapping[str, float]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the same label for every input, with the training frequencies as probabilities."""
        start = perf_counter()
        labels, row = list(self.frequencies), list(self.frequencies.values())
        seconds_each = (perf_counter() - start) / max(1, len(inputs))
        advance(len(inputs))
        return predictions(labels, [row] * len(inputs), seconds_each=seconds_each)

    def state(self) -> dict[str, Any]:
        """Return nothing: everything follows from train."""
        return {}

    def details(self) -> dict[str, Any]:
        """Return the training frequency of every label."""
        return {"frequencies": dict(self.frequencies)}


@dataclass(frozen=True)
class ConstantPredictor:
    """Predicts `answer`, the reference of a `share` of the training examples; it has no probabilities."""

    answer: str
    share: float

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the same answer for every input."""
        advance(len(inputs))
        return [Prediction(id=str(position), answer=self.answer) for position in range(len(inputs))]

    def state(self) -> dict[str, Any]:
        """Return nothing: everything follows from train."""
        return {}

    def details(self) -> dict[str, Any]:
        """Return the answer and how often it is right in train."""
        return {"answer": self.answer, "share": self.share}


@dataclass(frozen=True)
class Majority:
    """The strategy; labels that are equally frequent go by the task's order, other answers by that of train."""

    name = "majority"
    role = Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor of the most frequent answer. Raises `DataError` without training examples."""
        train = training_examples(context)
        if not context.task.kind.one_label:
            return _constant(context.task.kind, train)
        counts = Counter(references(train))
        return MajorityPredictor({label: counts[label] / len(train) for label in context.task.labels})

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor again; counting is all there is to fit."""
        del state
        return self.fit(context)


def _constant(kind: Kind, train: Sequence[Example]) -> ConstantPredictor:
    """Return the predictor of the one answer that suits train best."""
    known = references(train)
    answer = kind.constant(known)
    if answer is None:
        answer = _central(known)
    return ConstantPredictor(answer, known.count(answer) / len(known))


def _central(texts: Sequence[str]) -> str:
    """Return the text nearest to the centroid of all by cosine of TF-IDF, the first of equals.

    Radev, Jing, Stys & Tam (2004), "Centroid-based summarization of multiple documents".
    """
    import numpy as np

    from llmtl.classical.features import fit_vectorisers

    _, rows = fit_vectorisers(texts, ["word"])["word"]
    if rows.shape[1] == 0:
        return texts[0]
    similarity = np.asarray(rows @ np.asarray(rows.sum(axis=0)).ravel())
    return texts[int(similarity.argmax())]
