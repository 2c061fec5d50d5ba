"""The `crf` strategy: a linear-chain conditional random field over words, by sklearn-crfsuite.

Lafferty, McCallum & Pereira (2001), "Conditional Random Fields"; features in `word_features`. Regularisation is chosen
on dev; the model is fitted on train alone. Not covered: gazetteers, embeddings, overlapping spans (of those the first
is learned), probabilities.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

from llmtl.answers import read_spans, write_spans
from llmtl.baselines.config import CrfConfig
from llmtl.baselines.word_features import features_of
from llmtl.baselines.words import OUTSIDE, to_spans, to_tags, words_of
from llmtl.errors import DataError, RunError
from llmtl.metrics.measures import measure_of
from llmtl.predictor import FitContext, Prediction, Predictor, Role
from llmtl.progress import Advance, unwatched
from llmtl.task import references

MODEL_FILE = "model.crfsuite"

Features = list[str]


@dataclass(frozen=True)
class CrfPredictor:
    """A fitted model; `choice` holds `c1` and `c2`, `grid` one entry a point that was tried, with its dev score.

    `sha256` is of the model's file in the strategy's folder.
    """

    model: Any
    choice: Mapping[str, float]
    sha256: str = ""
    grid: tuple[Mapping[str, float], ...] = ()

    def predict(self, texts: Sequence[str], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return the spans of each text, without probabilities."""
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

    @property
    def name(self) -> str:
        """Return `crf`."""
        return "crf"

    @property
    def role(self) -> Role:
        """Return the baseline role."""
        return Role.BASELINE

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor of the grid's best point on dev. Raises `DataError` without spans in train."""
        if not context.train:
            raise DataError("There are no training examples; label some, or make the train share larger.")
        points = list(product(sorted(set(self.config.c1), reverse=True), sorted(set(self.config.c2), reverse=True)))
        data, path = _training_data(context), context.folder / MODEL_FILE
        if not any(tag != OUTSIDE for tags in data[1] for tag in tags):  # CRFsuite would end the process
            raise DataError("No training example has a span; label some, or leave 'crf' out of 'strategies.run'.")
        grid: list[dict[str, float]] = []
        with context.progress.stage("crf: fitting", len(points)) as advance:
            for c1, c2 in points:
                file = path.with_suffix(".tried")
                predictor = CrfPredictor(self._train(data, file, c1=c1, c2=c2), {})
                score = _dev_score(predictor, context)
                if all(score > point[f"dev_{context.task.metric}"] for point in grid):
                    chosen = {"c1": c1, "c2": c2}
                    file.replace(path)
                grid.append({"c1": c1, "c2": c2, f"dev_{context.task.metric}": score})
                file.unlink(missing_ok=True)
                advance(1)
        return CrfPredictor(_load(path), chosen, _sha256(path), tuple(grid))

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the stored predictor; raises `RunError` when its model is missing or not the one that was fitted."""
        path = context.folder / state["model"]
        model = _load(path)
        if _sha256(path) != state["sha256"]:
            raise RunError(f"The model '{path}' is not the one that was fitted; run the recipe again.")
        return CrfPredictor(model, {"c1": state["c1"], "c2": state["c2"]}, state["sha256"])

    def _train(self, data: tuple[list[list[Features]], list[list[str]]], file: Path, *, c1: float, c2: float) -> Any:
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


def _training_data(context: FitContext) -> tuple[list[list[Features]], list[list[str]]]:
    """Return the features and BIO tags of the training texts that have words."""
    tokenised = [(words_of(example.text), read_spans(example.reference)) for example in context.train]
    kept = [(words, spans) for words, spans in tokenised if words]
    return [features_of(words) for words, _ in kept], [to_tags(words, spans) for words, spans in kept]


def _dev_score(predictor: CrfPredictor, context: FitContext) -> float:
    """Return the task's metric on dev."""
    task = context.task
    measure = measure_of(task.metric, task.kind, references(context.dev), labels=task.labels)
    guesses = [prediction.answer for prediction in predictor.predict([example.text for example in context.dev])]
    return float(measure.value(measure.counts(guesses).sum(axis=0)))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _load(file: Path) -> Any:
    """Return the model in `file`; raises `RunError` when it is missing."""
    from sklearn_crfsuite import CRF

    if not file.is_file():
        raise RunError(f"The run folder lacks '{file.name}'; run the recipe again with a fresh --out.")
    return CRF(model_filename=str(file))
