"""The `crf` strategy: a linear-chain conditional random field over words, by sklearn-crfsuite.

Lafferty, McCallum & Pereira (2001), "Conditional Random Fields"; features in `llmtl.classical.word_features`.
Regularisation is chosen on dev; the model is fitted on train alone. Not covered: gazetteers, embeddings, overlapping
spans (of those the first is learned), the probability of single spans.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.answers import read_spans, write_spans
from llmtl.classical.grid import best_on_dev, dev_answers, training_examples
from llmtl.classical.word_features import features_of
from llmtl.classical.words import OUTSIDE, to_spans, to_tags, words_of
from llmtl.errors import DataError, RunError
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Prediction, Predictor, Role, Strategy
from llmtl.task import Input, texts_of

MODEL_FILE = "model.crfsuite"
LEAST_PROBABILITY = 1e-300
"""What a sequence of tags counts as whose probability is too small for a floating-point number."""

Features = list[str]
Labelled = tuple[list[list[Features]], list[list[str]]]
"""The features of the words of each text, and their BIO tags."""
Point = tuple[tuple[Path, dict[str, float]], dict[str, float], Sequence[str | None]]
"""The file and the choice of a model, the choice again, and its dev answers."""


class CrfConfig(BaseModel):
    """The choices of the `crf` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    c1: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.1,),
        min_length=1,
        description="Strengths of L1 regularisation to try; sklearn-crfsuite's tutorial has 0.1.",
    )
    c2: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.01, 0.1, 1.0),
        min_length=1,
        description="Strengths of L2 regularisation to try: the tutorial's 0.1, CRFsuite's default 1, and weaker.",
    )
    max_iterations: int = Field(
        default=100, ge=1, description="Iterations of L-BFGS at most, as in sklearn-crfsuite's tutorial."
    )


@dataclass(frozen=True)
class CrfPredictor:
    """A fitted model that is kept in `file`, whose SHA-256 is `sha256`; `choice` holds `c1` and `c2`."""

    model: Any
    choice: Mapping[str, float]
    file: Path
    sha256: str = ""

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Find the spans of each text, with the log-probability of all tags together."""
        texts = texts_of(inputs)
        results = []
        for position, text in enumerate(texts):
            start = perf_counter()
            words = words_of(text)
            tags = self.model.predict_single(features_of(words)) if words else []
            answer = write_spans(to_spans(text, words, tags))
            logprob = log(max(self.model.tagger_.probability(tags), LEAST_PROBABILITY)) if words else 0.0
            seconds = perf_counter() - start
            results.append(Prediction(id=str(position), answer=answer, logprob=logprob, seconds=seconds))
            advance(1)
        return results

    def save(self, folder: Path) -> None:
        """Write the choice and the hash of the model, and the model where it is not there yet."""
        from llmtl.classical.files import write_parts

        if self.file.resolve() != (folder / MODEL_FILE).resolve():
            shutil.copyfile(self.file, folder / MODEL_FILE)
        write_parts(folder, {"choice": dict(self.choice), "sha256": self.sha256})

    def served(self) -> LocalServed:
        """Say that our own server serves it, one request at a time: CRFsuite's tagger holds the text it is at."""
        return LocalServed(one_at_a_time=True)


class Crf(Strategy[CrfConfig]):
    """Equal dev scores go to stronger regularisation."""

    section = CrfConfig
    facts = Facts(
        name="crf",
        title="Conditional random field",
        advice="Train a conditional random field (CRF)",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset({AnswerShape.SPANS}),
        made_with="sklearn-crfsuite",
        has_curve=True,
        summary="A linear-chain random field (extraction).",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Fit the grid, and keep its best point on dev. Raises `DataError` without spans in train."""
        c1s, c2s = (sorted(set(each), reverse=True) for each in (self.config.c1, self.config.c2))
        strengths = list(product(c1s, c2s))
        data = _training_data(context)
        if not any(tag != OUTSIDE for tags in data[1] for tag in tags):  # CRFsuite would end the process
            raise DataError("No training example has a span; label some, or leave 'crf' out of 'strategies.run'.")
        path = context.folder / MODEL_FILE
        with TemporaryDirectory(dir=context.folder) as tried:
            points = self._points(context, data, strengths, Path(tried))
            (file, choice), trace = best_on_dev(points, context, name=self.name, count=len(strengths))
            file.replace(path)
        return Fitted(CrfPredictor(_load(path), choice, path, _sha256(path)), (trace,))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the model; raises `RunError` when it is missing or not the one that was fitted."""
        from llmtl.classical.files import read_facts

        facts = read_facts(folder)
        return opened(folder / MODEL_FILE, facts["choice"], str(facts["sha256"]))

    def _points(
        self, context: FitContext, data: Labelled, strengths: Sequence[tuple[float, float]], folder: Path
    ) -> Iterator[Point]:
        """Yield the file and the choice of each model, fitted and kept in `folder`, and its point of the grid."""
        for number, (c1, c2) in enumerate(strengths):
            file, choice = folder / f"{number}-{MODEL_FILE}", {"c1": c1, "c2": c2}
            predictor = CrfPredictor(self._train(data, file, c1=c1, c2=c2), choice, file)
            yield (file, choice), choice, dev_answers(predictor, context)

    def _train(self, data: Labelled, file: Path, *, c1: float, c2: float) -> Any:
        """Fit a model that is kept in `file`."""
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


def opened(path: Path, choice: Mapping[str, float], sha256: str) -> CrfPredictor:
    """Open the model in a file; raises `RunError` when it is missing or not the one that was fitted."""
    model = _load(path)
    if _sha256(path) != sha256:
        raise RunError(f"The model '{path}' is not the one that was fitted; run the recipe again.")
    return CrfPredictor(model, choice, path, sha256)


def _training_data(context: FitContext) -> Labelled:
    """List the features and BIO tags of the training texts that have words."""
    tokenised = [(words_of(example.text), read_spans(example.reference)) for example in training_examples(context)]
    kept = [(words, spans) for words, spans in tokenised if words]
    return [features_of(words) for words, _ in kept], [to_tags(words, spans) for words, spans in kept]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _load(file: Path) -> Any:
    """Load the model in `file`; raises `RunError` when it is missing."""
    from sklearn_crfsuite import CRF

    if not file.is_file():
        raise RunError(f"The run folder lacks '{file.name}'; run the recipe again with a fresh --out.")
    return CRF(model_filename=str(file))
