"""A run as an estimator of scikit-learn: `fit` decides, `predict` asks the winner.

X is a list, an array or a Series of texts, y a label per text: strings, numbers or truth values. Not covered: other
kinds of task, weights of samples, fitting on more data later.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from llmtl.errors import InputError
from llmtl.lookalikes import plain_name
from llmtl.measured.labelled import text_list
from llmtl.numerals import plural
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.pipeline.start import run


class Classifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The strategy that `llmtl.run` decides on, as a classifier of texts.

    Parameters are options of `llmtl.run`; `seed` seeds the split, demonstrations and training, and `out` is the run
    folder, by default one in `runs/` that the data names. `labels` are all labels in prompt order, or a mapping of each
    to what it means or None; they are of the type of `y`, and have to hold every label that stands there.

    After `fit`, `classes_` holds the labels, sorted, and `run_` is the finished run, with its report.
    """

    def __init__(  # noqa: PLR0913 (scikit-learn reads an estimator's parameters from here)
        self,
        model: str = "smollm2",
        *,
        encoder: str | None = "minilm",
        strategies: list[str] | None = None,
        metric: str | None = None,
        instruction: str | None = None,
        labels: Sequence[Any] | Mapping[Any, str | None] | None = None,
        budget_minutes: float | None = None,
        seed: int = 0,
        out: str | Path | None = None,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.strategies = strategies
        self.metric = metric
        self.instruction = instruction
        self.labels = labels
        self.budget_minutes = budget_minutes
        self.seed = seed
        self.out = out

    def fit(self, X: Any, y: Any) -> "Classifier":  # noqa: N803 (scikit-learn's name)
        """Measure the strategies on texts and labels, and decide.

        Raises `InputError` kin for other things than texts, for fewer than two labels, for `labels` of another type
        than those of `y`, and as `llmtl.run` does.
        """
        if y is None:
            raise InputError("Classifier requires y to be passed, but the target y is None; give a label per text.")
        labels = _labels(y)
        texts = text_list(X)
        if len(labels) != len(texts):
            raise InputError(
                f"X has {plural(len(texts), 'text')} and y {plural(len(labels), 'label')}; give one label per text."
            )
        classes = self._classes(labels)
        rows = [{"text": text, "label": _name(label)} for text, label in zip(texts, labels.tolist(), strict=True)]
        choices = {name: getattr(self, name) for name in ("strategies", "metric", "instruction", "budget_minutes")}
        given = {name: value for name, value in choices.items() if value is not None}
        if isinstance(self.labels, Mapping):
            given["labels"] = {_name(label): meaning for label, meaning in self.labels.items()}
        elif self.labels is not None:
            given["labels"] = [_name(label) for label in self.labels]
        done = run(rows, model=self.model, encoder=self.encoder, seed=self.seed, out=self.out, **given)
        self.classes_ = classes
        self.run_folder_ = str(done.folder.resolve())
        self._run = done
        return self

    def _classes(self, seen: Any) -> Any:
        """Give the labels `seen` in y and those of `labels` that no text has, sorted, in an array of their type."""
        known = {_name(label) for label in seen.tolist()}
        more = [label for label in ([] if self.labels is None else self.labels) if _name(label) not in known]
        if not more:
            return np.unique(seen)
        kind = type(seen.tolist()[0])
        wrong = next((label for label in more if not isinstance(label, kind)), None)
        if wrong is not None:
            raise InputError(
                f"The label {wrong!r} of 'labels' is of type {type(wrong).__name__}, and those of y are of type "
                f"{kind.__name__}; give both alike."
            )
        return np.unique(np.concatenate([seen, np.array(more)]))

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Give the label of each text, shape (N,), of the labels' type.

        A text that is missing or that the winner fails on gets the first of `classes_`.
        """
        check_is_fitted(self)
        places = {_name(label): place for place, label in enumerate(self.classes_.tolist())}
        answers = self.run_.predict(text_list(X))
        return self.classes_[[places.get(answer, 0) for answer in answers]]

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Give the probability of each label, shape (N, classes), in the order of `classes_`; rows sum to 1.

        They are equal where the text is missing or the winner fails. Raises `InputError` where it tells none.
        """
        check_is_fitted(self)
        frame = self.run_.predict(text_list(X), proba=True)
        names = [_name(label) for label in self.classes_.tolist()]
        known = frame.reindex(columns=names, fill_value=0.0).to_numpy(dtype=float)
        return np.where(np.isnan(known).any(axis=1, keepdims=True), 1 / len(names), known)

    @property
    def run_(self) -> Run:
        """The finished run."""
        check_is_fitted(self)
        if "_run" not in self.__dict__:
            self._run = load_run(self.run_folder_)
        return self._run

    def __sklearn_is_fitted__(self) -> bool:
        return "run_folder_" in self.__dict__

    def __getstate__(self) -> dict[str, Any]:
        # loaded models stay behind: the run folder holds what they are loaded from
        return {name: value for name, value in super().__getstate__().items() if name != "_run"}

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = False, True, True
        return tags


def _labels(y: Any) -> Any:
    """Give the labels as an array of one type, shape (N,); raises `InputError` for missing and continuous ones."""
    if hasattr(y, "astype") and not isinstance(getattr(y, "dtype", np.dtype(object)), np.dtype):
        y = y.astype(object)  # of pandas' own types, which numpy reads as others: Int64 as fractions
    try:
        labels = column_or_1d(y, warn=True)
        if labels.dtype == object:
            labels = _of_one_type(labels)
        check_classification_targets(labels)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{str(error).rstrip('.')}; give a label per text.") from None
    return labels


def _of_one_type(labels: Any) -> Any:
    """Refuse labels that are missing or of several types, and give what is not strings as an array of its type."""
    listed = labels.tolist()
    missing = [place for place, label in enumerate(listed) if _is_missing(label)]
    if missing:
        raise InputError(
            f"y has no label for {len(missing):,} of {len(listed):,} texts (first: number {missing[0] + 1}); leave "
            "them out, or label them."
        )
    kinds = sorted({type(label).__name__ for label in listed})
    if len(kinds) > 1:
        raise InputError(f"The labels in y are of several types ({', '.join(kinds)}); give all as one, say as strings.")
    return labels if kinds in ([], ["str"]) else np.array(listed)


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ in ("NAType", "NaTType") or bool(label != label)  # noqa: PLR0124


def _name(label: Any) -> str:
    """Write a label as data in memory is read: 3.0 as 3, true for True."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else plain_name(str(label))
