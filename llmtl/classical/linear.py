"""Multinomial logistic regression: fitted by scikit-learn, kept as plain arrays that need no pickle to be stored.

Not covered: calibration.
"""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from llmtl.quiet import few_per_label
from llmtl.strategy import Prediction
from llmtl.task import Metric, Task

MAX_ITERATIONS = 1000
"""Of Newton's method; a few dozen are usual."""


@dataclass(frozen=True)
class LinearModel:
    """Weights (K labels x F features) and intercepts (K), in single precision to halve the file.

    K counts the labels seen in training, which `labels` names.
    """

    labels: tuple[str, ...]
    weights: npt.NDArray[np.float32]
    intercepts: npt.NDArray[np.float32]

    @classmethod
    def stored(cls, labels: Sequence[str], arrays: Mapping[str, Any], *, known: Collection[str]) -> "LinearModel":
        """Make the stored model; raises `ValueError` unless its parts fit each other and the `known` labels."""
        made = cls(tuple(labels), arrays["weights"], arrays["intercepts"])
        if not set(made.labels) <= set(known):
            raise ValueError(f"the model has labels of another task: {sorted(set(made.labels) - set(known))[0]!r}")
        if made.weights.ndim != 2 or made.intercepts.shape != (len(made.labels),) or len(made.weights) != len(labels):
            raise ValueError(f"{len(made.labels)} labels do not fit weights of the shape {made.weights.shape}")
        return made

    def probabilities(self, rows: Any) -> npt.NDArray[np.float64]:
        """Compute N x K probabilities of N sparse rows; each row sums to 1."""
        return np.asarray(softmax(self.logits(rows), axis=1))

    def logits(self, rows: Any) -> npt.NDArray[np.float64]:
        """Compute N x K scores of N sparse rows."""
        return np.asarray(rows @ self.weights.T.astype(np.float64) + self.intercepts)


def prior(truth: Sequence[str], *, features: int) -> LinearModel:
    """Make the model that ignores its features: every row gets the frequencies of the labels."""
    counts = Counter(truth)
    labels = tuple(sorted(counts))
    shares = np.array([counts[label] / len(truth) for label in labels])
    return LinearModel(labels, np.zeros((len(labels), features), np.float32), np.log(shares).astype(np.float32))


def with_even_prior(model: LinearModel, truth: Sequence[str]) -> LinearModel:
    """Take the frequencies of the labels in train out of a model, as if every label were as frequent.

    Its most probable label is then the best guess by balanced accuracy: the logit adjustment of Menon et al. (2021),
    "Long-tail learning via logit adjustment", section 4.1 (https://arxiv.org/abs/2007.07314), at a temperature of 1.
    """
    counts = Counter(truth)
    shares = np.array([counts[label] / len(truth) for label in model.labels])
    return LinearModel(model.labels, model.weights, (model.intercepts - np.log(shares)).astype(np.float32))


def tries_even_prior(task: Task) -> bool:
    """Say whether each model is also tried as if all labels were as frequent: where rare ones count as much as others.

    Sets of labels have a threshold for that.
    """
    return task.metric is Metric.MACRO_F1 and not task.kind.lists


def path(rows: Any, truth: Sequence[str], strengths: Sequence[float]) -> Iterator[LinearModel]:
    """Yield the model at each C of `strengths`, which rise, each fitted from the solution before.

    Friedman, Hastie & Tibshirani (2010), "Regularization Paths for Generalized Linear Models", section 2.5: warm starts
    make the whole path about as cheap as its last point. One label alone, or no features at all, leave nothing to
    learn but the frequencies.
    """
    if rows.shape[1] == 0 or len(set(truth)) < 2:
        yield from (prior(truth, features=rows.shape[1]) for _ in strengths)
        return
    # Newton with conjugate gradients takes a third of the time of the default lbfgs on 8,000 rows and 77 labels
    model = LogisticRegression(solver="newton-cg", max_iter=MAX_ITERATIONS, warm_start=True)
    for c in strengths:
        with warnings.catch_warnings(), few_per_label():
            # an optimum found less than exactly is judged on dev like any other
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=c).fit(rows, truth)
        yield _arrays(model)


def _arrays(model: LogisticRegression) -> LinearModel:
    """Return the fitted model; of two labels scikit-learn keeps only the second's weights, the first's being 0."""
    weights, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weights, intercepts = np.vstack([0 * weights, weights]), np.append(0.0, intercepts)
    labels = tuple(str(label) for label in model.classes_)
    return LinearModel(labels, weights.astype(np.float32), intercepts.astype(np.float32))


def predictions(labels: Sequence[str], rows: Iterable[Sequence[float]], *, seconds_each: float) -> list[Prediction]:
    """Predict in order, one per row of C probabilities; the first of equally probable labels wins."""
    return [
        Prediction(
            id=str(position),
            answer=labels[max(range(len(labels)), key=row.__getitem__)],
            probabilities=dict(zip(labels, row, strict=True)),
            seconds=seconds_each,
        )
        for position, row in enumerate(rows)
    ]
