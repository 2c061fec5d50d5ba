"""The `majority` strategy: always the most frequent training label.

Its accuracy is the floor that anything useful must clear. Not covered: stratified or random guessing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from llmtl.baselines.probabilities import predictions
from llmtl.errors import DataError
from llmtl.predictor import FitContext, Prediction, Predictor, Role
from llmtl.progress import Advance, unwatched
from llmtl.task import references


@dataclass(frozen=True)
class MajorityPredictor:
    """Predicts the label with the largest of `frequencies`, which has one entry a label in the task's order."""

    frequencies: Mapping[str, float]

    def predict(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the same label for every text, with the training frequencies as probabilities."""
        start = perf_counter()
        labels, row = list(self.frequencies), list(self.frequencies.values())
        seconds_each = (perf_counter() - start) / max(1, len(texts))
        advance(len(texts))
        return predictions(labels, [row] * len(texts), seconds_each=seconds_each)

    def state(self) -> dict[str, Any]:
        """Return nothing: everything follows from train."""
        return {}

    def details(self) -> dict[str, Any]:
        """Return the training frequency of every label."""
        return {"frequencies": dict(self.frequencies)}


@dataclass(frozen=True)
class Majority:
    """The strategy; labels that are equally frequent go by the task's order."""

    @property
    def name(self) -> str:
        """Return `majority`."""
        return "majority"

    @property
    def role(self) -> Role:
        """Return the baseline role."""
        return Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor of the most frequent label. Raises `DataError` without training examples."""
        if not context.train:
            raise DataError("There are no training examples; label some, or make the train share larger.")
        counts = Counter(references(context.train))
        return MajorityPredictor({label: counts[label] / len(context.train) for label in context.task.labels})

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor again; counting is all there is to fit."""
        del state
        return self.fit(context)
