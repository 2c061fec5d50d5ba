"""The `nearest` strategy: the reference of the most similar training input, copied.

Similarity is the cosine of TF-IDF over word 1-2-grams and character 2-4-grams. Not covered: editing what is copied,
voting among several neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from llmtl.classical.config import Features
from llmtl.classical.features import Vectoriser, fit_vectorisers
from llmtl.classical.grid import training_examples
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, Prediction, Predictor, Role
from llmtl.task import Input, references, texts_of

_FEATURES: Features = "word+char"
_ROWS = 256
"""Inputs compared at once: bounds the memory of their similarities to all of train."""


@dataclass(frozen=True)
class NearestPredictor:
    """Copies from `answers`, one for each of the `rows` (N training inputs x features)."""

    vectoriser: Vectoriser
    rows: Any
    answers: tuple[str, ...]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return a copied answer for each text; of equally similar inputs the first, also where none is similar."""
        texts = texts_of(inputs)
        results: list[Prediction] = []
        for start in range(0, len(texts), _ROWS):
            begun = perf_counter()
            block = texts[start : start + _ROWS]
            similarity = (self.vectoriser.rows(block) @ self.rows.T).toarray()
            nearest = similarity.argmax(axis=1).tolist()
            each = (perf_counter() - begun) / len(block)
            results += [
                Prediction(id=str(start + place), answer=self.answers[index], seconds=each)
                for place, index in enumerate(nearest)
            ]
            advance(len(block))
        return results

    def state(self) -> dict[str, Any]:
        """Return nothing: everything follows from train."""
        return {}

    def details(self) -> dict[str, Any]:
        """Return from how many inputs answers are copied."""
        return {"inputs": len(self.answers), "vocabulary": self.vectoriser.size}


@dataclass(frozen=True)
class Nearest:
    """The strategy; there is nothing to choose."""

    name = "nearest"
    role = Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor over train. Raises `DataError` without training examples."""
        train = training_examples(context)
        vectoriser, rows = fit_vectorisers([example.text for example in train], [_FEATURES])[_FEATURES]
        return NearestPredictor(vectoriser, rows, tuple(references(train)))

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor again; indexing train is all there is to fit."""
        del state
        return self.fit(context)
