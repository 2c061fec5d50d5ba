"""The `majority` strategy: always the same answer, whatever the input.

    classification   the most frequent label
    multi-label      the most frequent set of labels
    extraction       no spans: exactly right wherever there is nothing to extract
    generation       the most central reference
    retrieval        the ten texts that are relevant most often

Its score is the floor that anything useful must clear. Not covered: stratified or random guessing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from llmtl.classical.grid import training_examples
from llmtl.kinds.kind import AnswerShape, Kind
from llmtl.progress import Advance, unwatched
from llmtl.strategy import (
    Facts,
    FitContext,
    Fitted,
    LocalServed,
    NoChoices,
    Prediction,
    Predictor,
    Role,
    Strategy,
)
from llmtl.task import Example, Input, references


@dataclass(frozen=True)
class MajorityPredictor:
    """Predicts the label with the largest of `frequencies`, which has one entry per label in the task's order."""

    frequencies: Mapping[str, float]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict the same label for every input, with the training frequencies as probabilities."""
        from llmtl.classical.linear import predictions

        start = perf_counter()
        labels, row = list(self.frequencies), list(self.frequencies.values())
        seconds_each = (perf_counter() - start) / max(1, len(inputs))
        advance(len(inputs))
        return predictions(labels, [row] * len(inputs), seconds_each=seconds_each)

    def save(self, folder: Path) -> None:
        """Write the frequencies."""
        from llmtl.classical.files import write_parts

        write_parts(folder, {"frequencies": dict(self.frequencies)})

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


@dataclass(frozen=True)
class ConstantPredictor:
    """Predicts `answer`, the reference of a `share` of the training examples; it has no probabilities."""

    answer: str
    share: float

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict the same answer for every input."""
        advance(len(inputs))
        return [Prediction(id=str(position), answer=self.answer) for position in range(len(inputs))]

    def save(self, folder: Path) -> None:
        """Write the answer and its share."""
        from llmtl.classical.files import write_parts

        write_parts(folder, {"answer": self.answer, "share": self.share})

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


class Majority(Strategy[NoChoices]):
    """Equally frequent labels go by the task's order, other answers by that of train."""

    facts = Facts(
        name="majority",
        title="Most frequent answer",
        advice="Always give the most frequent answer",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset(AnswerShape),
        summary="Always the most frequent answer (extraction: no spans; generation: the most central reference; "
        "retrieval: what is relevant most often).",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Find the most frequent answer. Raises `DataError` without training examples."""
        train = training_examples(context)
        if not context.task.kind.one_label:
            return Fitted(_constant(context.task.kind, train))
        counts = Counter(references(train))
        return Fitted(MajorityPredictor({label: counts[label] / len(train) for label in context.task.labels}))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the answer that was found."""
        from llmtl.classical.files import read_facts

        facts = read_facts(folder)
        if "answer" in facts:
            return ConstantPredictor(str(facts["answer"]), float(facts["share"]))
        return MajorityPredictor({label: float(facts["frequencies"][label]) for label in context.task.labels})


def _constant(kind: Kind, train: Sequence[Example]) -> ConstantPredictor:
    """Find the one answer that suits train best."""
    known = references(train)
    answer = kind.constant(known)
    if answer is None:
        answer = _central(known)
    return ConstantPredictor(answer, known.count(answer) / len(known))


def _central(texts: Sequence[str]) -> str:
    """Find the text nearest to the centroid of all by cosine of TF-IDF, the first of equals.

    Radev, Jing, Stys & Tam (2004), "Centroid-based summarization of multiple documents".
    """
    import numpy as np

    from llmtl.classical.features import fit_vectorisers

    _, rows = fit_vectorisers(texts, ["word"])["word"]
    if rows.shape[1] == 0:
        return texts[0]
    similarity = np.asarray(rows @ np.asarray(rows.sum(axis=0)).ravel())
    return texts[int(similarity.argmax())]
