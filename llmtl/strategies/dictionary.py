"""The `dictionary` strategy: what spans of train look like, found again.

Entries are the words of a span and patterns with digits or capitalised words in place of particular ones; those that
are too seldom spans where they occur in train are left out. How seldom is chosen on dev. Not covered: words around a
span, spelling mistakes, overlapping spans.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from llmtl.answers import read_spans, write_spans
from llmtl.classical.grid import best_on_dev, dev_answers, training_examples
from llmtl.classical.patterns import Entries, learn
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Prediction, Predictor, Role, Strategy
from llmtl.task import Input, texts_of

Share = Annotated[float, Field(ge=0, le=1)]


class DictionaryConfig(BaseModel):
    """The choices of the `dictionary` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: tuple[Share, ...] = Field(
        default=(0.3, 0.5, 0.7),
        min_length=1,
        description="Least precisions to try: an entry is kept when at least this share of its occurrences in train "
        "are spans of its type. The best threshold for F1 is half that F1 (Lipton, Elkan & Narayanaswamy 2014).",
    )


@dataclass(frozen=True)
class DictionaryPredictor:
    """Finds `entries` of at least `precision` in train."""

    entries: Entries
    precision: float

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Find the spans of each text, without probabilities."""
        texts = texts_of(inputs)
        results = []
        for position, text in enumerate(texts):
            start = perf_counter()
            answer = write_spans(self.entries.find(text))
            results.append(Prediction(id=str(position), answer=answer, seconds=perf_counter() - start))
            advance(1)
        return results

    def save(self, folder: Path) -> None:
        """Write the entries."""
        from llmtl.classical.files import write_parts

        levels = [[[list(key), label] for key, label in level.items()] for level in self.entries.by_level]
        write_parts(folder, {"precision": self.precision, "entries": levels})

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


class Dictionary(Strategy[DictionaryConfig]):
    """Equal dev scores go to the higher precision."""

    section = DictionaryConfig
    facts = Facts(
        name="dictionary",
        title="Dictionary of known phrases",
        advice="Look up known phrases in a dictionary",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset({AnswerShape.SPANS}),
        usual_baseline=True,
        has_curve=True,
        summary="The words that were spans in train (extraction).",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Keep the precision that scores best on dev. Raises `DataError` without training examples."""
        precisions = sorted(set(self.config.precision), reverse=True)
        tried = (learned(context, precision) for precision in precisions)
        points = ((each, {"precision": each.precision}, dev_answers(each, context)) for each in tried)
        best, trace = best_on_dev(points, context, name=self.name, count=len(precisions))
        return Fitted(best, (trace,))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the entries."""
        from llmtl.classical.files import read_facts

        facts = read_facts(folder)
        levels = tuple({tuple(key): str(label) for key, label in level} for level in facts["entries"])
        return DictionaryPredictor(Entries(levels), float(facts["precision"]))


def learned(context: FitContext, precision: float) -> DictionaryPredictor:
    """Learn the entries of train at a precision."""
    known = [(each.text, read_spans(each.reference)) for each in training_examples(context)]
    return DictionaryPredictor(learn(known, precision=precision), precision)
