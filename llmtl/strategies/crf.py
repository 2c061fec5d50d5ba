"""The `crf` strategy: a linear-chain conditional random field over words, by sklearn-crfsuite.

Lafferty, McCallum & Pereira (2001), "Conditional Random Fields"; features in `word_features`. Regularisation is chosen
on dev; the model is fitted on train alone. Not covered: gazetteers, embeddings, overlapping spans (of those the first
is learned), probabilities.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from llmtl.answers import read_spans, write_spans
from llmtl.classical.config import CrfConfig
from llmtl.classical.grid import Point, best_on_dev, dev_score, training_examples
from llmtl.classical.word_features import features_of
from llmtl.classical.words import OUTSIDE, to_spans, to_tags, words_of
from llmtl.errors import DataError, RunError
from llmtl.progress import Advance, unwatched
from llmtl.strategy import FitContext, Prediction, Predictor, Role
from llmtl.task import Input, texts_of

MODEL_FILE = "model.crfsuite"

Features = list[str]
Labelled = tuple[list[list[Features]], list[list[str]]]
"""The features of the words of each text, and their BIO tags."""


@dataclass(frozen=True)
class CrfPredictor:
    """A fitted model; `choice` holds `c1` and `c2`, `grid` one entry a point that was tried, with its dev score.

    `sha256` is of the model's file in the strategy's folder.
    """

    model: Any
    choice: Mapping[str, float]
    sha256: str = ""
    grid: tuple[Mapping[str, float], ...] = ()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the spans of each text, without probabilities."""
        texts = texts_of(inputs)
        results = []
        for position, text in enumerate(texts):
            start = perf_counter()
            words = words_of(text)
            tags = self.model.predict_single(features_of(words)) if words else []
            answer = write_spans(to_spans(text, words, tags))
            results.append(Prediction(id=str(position), answer=answer, seconds=perf_counter() - start))
            advance(1)
        return results

    def state(self) -> dict[str, Any]:
        """Return the chosen strengths and the hash of the model, which is in the strategy's folder."""
        return {**self.choice, "model": MODEL_FILE, "sha256": self.sha256}

    def details(self) -> dict[str, Any]:
        """Return the choice and the grid with its dev scores."""
        return {**self.choice, "grid": [dict(point) for point in self.grid]}


@dataclass(frozen=True)
class Crf:
    """The strategy; equal dev scores go to stronger regularisation."""

    config: CrfConfig = field(default_factory=CrfConfig)
    name = "crf"
    role = Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor of the grid's best point on dev. Raises `DataError` without spans in train."""
        c1s, c2s = (sorted(set(each), reverse=True) for each in (self.config.c1, self.config.c2))
        strengths = list(product(c1s, c2s))
        data = _training_data(context)
        if not any(tag != OUTSIDE for tags in data[1] for tag in tags):  # CRFsuite would end the process
            raise DataError("No training example has a span; label some, or leave 'crf' out of 'strategies.run'.")
        path = context.folder / MODEL_FILE
        with TemporaryDirectory(dir=context.folder) as tried:
            points = self._points(context, data, strengths, Path(tried))
            (file, choice), grid = best_on_dev(points, context, name=self.name, count=len(strengths))
            file.replace(path)
        return CrfPredictor(_load(path), choice, _sha256(path), grid)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the stored predictor; raises `RunError` when its model is missing or not the one that was fitted."""
        path = context.folder / state["model"]
        model = _load(path)
        if _sha256(path) != state["sha256"]:
            raise RunError(f"The model '{path}' is not the one that was fitted; run the recipe again.")
        return CrfPredictor(model, {"c1": state["c1"], "c2": state["c2"]}, state["sha256"])

    def _points(
        self, context: FitContext, data: Labelled, strengths: Sequence[tuple[float, float]], folder: Path
    ) -> Iterator[tuple[tuple[Path, dict[str, float]], Point]]:
        """Yield the file and the choice of each model, fitted and kept in `folder`, and its point of the grid."""
        for number, (c1, c2) in enumerate(strengths):
            file, choice = folder / f"{number}-{MODEL_FILE}", {"c1": c1, "c2": c2}
            predictor = CrfPredictor(self._train(data, file, c1=c1, c2=c2), choice)
            yield (file, choice), {**choice, **dev_score(predictor, context)}

    def _train(self, data: Labelled, file: Path, *, c1: float, c2: float) -> Any:
        """Return a fitted model that is kept in `file`."""
        from sklearn_crfsuite import CRF

        model = CRF(
            algorithm="lbfgs",
            c1=c1,
            c2=c2,
            max_iterations=self.config.max_iterations,
            all_possible_transitions=True,
            model_filename=str(file),
        )
        return model.fit(*data)


def _training_data(context: FitContext) -> Labelled:
    """Return the features and BIO tags of the training texts that have words."""
    tokenised = [(words_of(example.text), read_spans(example.reference)) for example in training_examples(context)]
    kept = [(words, spans) for words, spans in tokenised if words]
    return [features_of(words) for words, _ in kept], [to_tags(words, spans) for words, spans in kept]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _load(file: Path) -> Any:
    """Return the model in `file`; raises `RunError` when it is missing."""
    from sklearn_crfsuite import CRF

    if not file.is_file():
        raise RunError(f"The run folder lacks '{file.name}'; run the recipe again with a fresh --out.")
    return CRF(model_filename=str(file))
