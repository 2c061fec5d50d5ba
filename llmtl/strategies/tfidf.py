"""The `tfidf` strategy: TF-IDF features and logistic regression.

It is what a data scientist would try in ten minutes, and the from-scratch control: it knows nothing but the training
examples. Features and regularisation are chosen on dev; the model is fitted on train alone. Not covered: any number of
labels per input (`llmtl.classical.label_sets`, which fitting turns to for such a task), stemming, weights of classes,
calibration.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.classical.config import Features
from llmtl.classical.grid import best_on_dev, training_examples
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Prediction, Predictor, Role, Strategy
from llmtl.task import Input, Task, references, texts_of

if TYPE_CHECKING:
    from llmtl.classical.features import Vectoriser
    from llmtl.classical.label_sets import LabelSetPredictor
    from llmtl.classical.linear import LinearModel


class TfidfConfig(BaseModel):
    """The choices of the `tfidf` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: tuple[Features, ...] = Field(
        default=("word", "word+char"),
        min_length=1,
        description="Kinds of features to try: word 1-2-grams (Wang & Manning 2012, 'Baselines and Bigrams'), alone or "
        "with character 2-4-grams within words, which survive spelling mistakes and inflection.",
    )
    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0, 10.0, 100.0),
        min_length=1,
        description="Inverse strengths of L2 regularisation to try: scikit-learn's default 1 and weaker, since TF-IDF "
        "values are small.",
    )


@dataclass(frozen=True)
class TfidfPredictor:
    """A fitted vectoriser and classifier; labels that train lacks have probability 0.

    `choice` holds `features` and `c`, and `prior` where labels count as if all were as frequent.
    """

    task: Task
    vectoriser: "Vectoriser"
    model: "LinearModel"
    choice: Mapping[str, Any]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text."""
        texts = texts_of(inputs)
        from llmtl.classical.linear import predictions

        start = perf_counter()
        rows = self.probabilities(self.vectoriser.rows(texts)).tolist() if texts else []
        seconds_each = (perf_counter() - start) / max(1, len(texts))
        advance(len(texts))
        return predictions(self.task.labels, rows, seconds_each=seconds_each)

    def probabilities(self, rows: Any) -> Any:
        """Compute an array, N TF-IDF rows x C labels in the task's order."""
        import numpy as np

        known = self.model.probabilities(rows)
        probabilities = np.zeros((len(known), len(self.task.labels)))
        # the model has the labels of train in alphabetical order, the task all labels in its own
        probabilities[:, [self.task.labels.index(label) for label in self.model.labels]] = known
        return probabilities

    def labels_of(self, rows: Any) -> list[str]:
        """Predict the label of each TF-IDF row."""
        return [self.task.labels[index] for index in self.probabilities(rows).argmax(axis=1)]

    def save(self, folder: Path) -> None:
        """Write choice, vocabulary and weights."""
        from llmtl.classical.files import linear_arrays, linear_facts, write_parts

        facts = {"choice": dict(self.choice), **linear_facts(self.model, self.vectoriser)}
        write_parts(folder, facts, linear_arrays(self.model, self.vectoriser))

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


class Tfidf(Strategy[TfidfConfig]):
    """Equal dev scores go to fewer features, then to stronger regularisation, then to the frequencies of train."""

    section = TfidfConfig
    facts = Facts(
        name="tfidf",
        title="TF-IDF and logistic regression",
        advice="Use TF-IDF and logistic regression",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset({AnswerShape.LABEL, AnswerShape.LABELS}),
        has_curve=True,
        usual_baseline=True,
        made_with="sklearn",
        summary="TF-IDF and logistic regression.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Fit the grid, and keep its best point on dev. Raises `DataError` without training examples."""
        from llmtl.classical.label_sets import label_set_points
        from llmtl.classical.linear import tries_even_prior

        wanted, strengths = sorted(set(self.config.features), key=len), sorted(set(self.config.c))
        fit = label_set_points if context.task.kind.lists else _points
        points: Iterable[tuple[TfidfPredictor | LabelSetPredictor, list[str]]]
        points = fit(context, vectorise(context, wanted), strengths)
        tried = ((each, each.choice, answers) for each, answers in points)
        count = len(wanted) * len(strengths) * (1 + tries_even_prior(context.task))
        best, trace = best_on_dev(tried, context, name=self.name, count=count)
        return Fitted(best, (trace,))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load vocabulary and weights."""
        from llmtl.classical.files import linear_from, read_arrays, read_facts
        from llmtl.classical.label_sets import LabelSetPredictor

        facts = read_facts(folder)
        vectoriser, model = linear_from(facts, read_arrays(folder), known=context.task.labels)
        make = LabelSetPredictor if context.task.kind.lists else TfidfPredictor
        return make(context.task, vectoriser, model, choice=facts["choice"])


def vectorise(context: FitContext, wanted: Sequence[Features]) -> dict[Features, tuple["Vectoriser", Any]]:
    """Fit vectorisers on the training texts; each comes with the rows of those."""
    from llmtl.classical.features import fit_vectorisers

    return fit_vectorisers([example.text for example in training_examples(context)], wanted)


def _points(
    context: FitContext,
    vectorised: Mapping[Features, tuple["Vectoriser", Any]],
    strengths: Sequence[float],
) -> Iterator[tuple[TfidfPredictor, list[str]]]:
    """Yield each point of the grid, fitted on train, with its dev answers."""
    from llmtl.classical.linear import path, tries_even_prior, with_even_prior

    truth = references(context.train)
    for features, (vectoriser, rows) in vectorised.items():
        dev_rows = vectoriser.rows([example.text for example in context.dev])
        for c, model in zip(strengths, path(rows, truth, strengths), strict=True):
            choice = {"features": features, "c": c}
            made = [TfidfPredictor(context.task, vectoriser, model, choice=choice)]
            if tries_even_prior(context.task):
                even = with_even_prior(model, truth)
                made.append(TfidfPredictor(context.task, vectoriser, even, choice={**choice, "prior": "even"}))
            yield from ((predictor, predictor.labels_of(dev_rows)) for predictor in made)
