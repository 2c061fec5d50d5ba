"""The `nearest` strategy: the reference of the most similar training input, copied.

Similarity is the cosine of TF-IDF over word 1-2-grams and character 2-4-grams. Not covered: editing what is copied,
voting among several neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from llmtl.classical.config import Features
from llmtl.classical.grid import training_examples
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, NoChoices, Prediction, Predictor, Role, Strategy
from llmtl.task import Input, references, texts_of

if TYPE_CHECKING:
    from llmtl.classical.features import Vectoriser

_FEATURES: Features = "word+char"
_ROWS = 256
"""Inputs compared at once: bounds the memory of their similarities to all of train."""


@dataclass(frozen=True)
class NearestPredictor:
    """Copies from `answers`, one for each of the `rows` (N training inputs x features)."""

    vectoriser: "Vectoriser"
    rows: Any
    answers: tuple[str, ...]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Copy an answer for each text; of equally similar inputs the first, also where none is similar."""
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

    def save(self, folder: Path) -> None:
        """Write vocabulary, rows and answers."""
        from llmtl.classical.files import rows_arrays, vectoriser_arrays, vectoriser_facts, write_parts

        facts = {"answers": list(self.answers), "columns": int(self.rows.shape[1])}
        arrays = rows_arrays(self.rows) | vectoriser_arrays(self.vectoriser)
        write_parts(folder, facts | vectoriser_facts(self.vectoriser), arrays)

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


class Nearest(Strategy[NoChoices]):
    """There is nothing to choose."""

    facts = Facts(
        name="nearest",
        title="Answer of the most similar input",
        advice="Repeat the answer of the most similar input",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset({AnswerShape.TEXT}),
        made_with="sklearn",
        usual_baseline=True,
        has_curve=True,
        summary="The reference of the most similar training input (generation).",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Index train. Raises `DataError` without training examples."""
        from llmtl.classical.features import fit_vectorisers

        train = training_examples(context)
        vectoriser, rows = fit_vectorisers([example.text for example in train], [_FEATURES])[_FEATURES]
        return Fitted(NearestPredictor(vectoriser, rows, tuple(references(train))))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the index."""
        from llmtl.classical.files import read_arrays, read_facts, rows_from, vectoriser_from

        facts, arrays = read_facts(folder), read_arrays(folder)
        answers = tuple(map(str, facts["answers"]))
        rows = rows_from(arrays, count=len(answers), columns=facts["columns"])
        return NearestPredictor(vectoriser_from(facts, arrays), rows, answers)
