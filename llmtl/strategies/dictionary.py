"""The `dictionary` strategy: what spans of train look like, found again.

Entries are the words of a span and patterns with digits or capitalised words in place of particular ones; those that
are too seldom spans where they occur in train are left out. How seldom is chosen on dev. Not covered: words around a
span, spelling mistakes, overlapping spans.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from llmtl.answers import read_spans, write_spans
from llmtl.classical.config import DictionaryConfig
from llmtl.classical.grid import best_on_dev, dev_score, training_examples
from llmtl.classical.patterns import LEVELS, Entries, learn
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, Prediction, Predictor, Role
from llmtl.task import Input, texts_of


@dataclass(frozen=True)
class DictionaryPredictor:
    """Finds `entries` of at least `precision` in train; `grid` has one entry a precision tried, with its dev score."""

    entries: Entries
    precision: float
    grid: tuple[Mapping[str, float], ...] = ()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the spans of each text, without probabilities."""
        texts = texts_of(inputs)
        results = []
        for position, text in enumerate(texts):
            start = perf_counter()
            answer = write_spans(self.entries.find(text))
            results.append(Prediction(id=str(position), answer=answer, seconds=perf_counter() - start))
            advance(1)
        return results

    def state(self) -> dict[str, Any]:
        """Return the chosen precision; the entries follow from train."""
        return {"precision": self.precision}

    def details(self) -> dict[str, Any]:
        """Return the choice, how many entries of each level and type there are, and the grid with its dev scores."""
        counts = {
            level: dict(sorted(Counter(entries.values()).items()))
            for level, entries in zip(LEVELS, self.entries.by_level, strict=True)
        }
        return {"precision": self.precision, "entries": counts, "grid": [dict(point) for point in self.grid]}


@dataclass(frozen=True)
class Dictionary:
    """The strategy; equal dev scores go to the higher precision."""

    config: DictionaryConfig = field(default_factory=DictionaryConfig)
    name = "dictionary"
    role = Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the tagger of the precision that scores best on dev. Raises `DataError` without training examples."""
        precisions = sorted(set(self.config.precision), reverse=True)
        tried = (DictionaryPredictor(_entries(context, precision), precision) for precision in precisions)
        points = ((each, {**each.state(), **dev_score(each, context)}) for each in tried)
        best, grid = best_on_dev(points, context, name=self.name, count=len(precisions))
        return replace(best, grid=grid)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor again: the entries learned from train at the stored precision."""
        return DictionaryPredictor(_entries(context, state["precision"]), state["precision"])


def _entries(context: FitContext, precision: float) -> Entries:
    return learn([(each.text, read_spans(each.reference)) for each in training_examples(context)], precision=precision)
