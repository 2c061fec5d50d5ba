"""Answers as Python has them: a label per text, in the form in which the texts came; probabilities as a frame.

A series of pandas or polars gives a series, with its index; a list, a tuple or an array a list; one text one answer.
Not covered: the predictions behind them, with tokens and seconds (`Predictor.predict`).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llmtl.errors import InputError
from llmtl.kinds.kind import Kind
from llmtl.strategy import Prediction
from llmtl.values import Image, Input

if TYPE_CHECKING:
    import pandas as pd

Answer = str | list[Any] | None
"""A label or a text; a list of labels, spans (as dicts) or ids; None for a missing input and a failed prediction."""
Predict = Callable[[Sequence[Input]], Sequence[Prediction]]


def labelled(inputs: Any, predict: Predict, kind: Kind) -> Any:
    """Answer inputs in the form in which they came; a missing one is not asked about, and its answer is None.

    Raises `InputError` for what is neither a text nor a collection of texts.
    """
    if isinstance(inputs, Input):
        return _answer(predict([inputs])[0], kind)
    answers = [None if made is None else _answer(made, kind) for made in _predictions(inputs, predict)]
    package = _package(inputs)
    if package == "pandas":
        return type(inputs)(answers, index=inputs.index, name=inputs.name, dtype=object)
    return type(inputs)(inputs.name, answers) if package == "polars" else answers


def probabilities(inputs: Any, predict: Predict, labels: Sequence[str]) -> "pd.DataFrame":
    """Give a row per input, with its index, and a column per label, which sum to 1; missing where there is no answer.

    Raises `InputError` where predictions have no probabilities, and as `labelled` does.
    """
    import pandas as pd

    if isinstance(inputs, Input):
        inputs = [inputs]
    made = _predictions(inputs, predict)
    answered = [item for item in made if item is not None]
    if not labels or (answered and not any(item.probabilities for item in answered)):
        raise InputError("These predictions have no probabilities per label; leave out proba=True.")
    rows = [[item.probabilities.get(label) if item else None for label in labels] for item in made]
    index = inputs.index if _package(inputs) == "pandas" else None
    return pd.DataFrame(rows, columns=list(labels), index=index, dtype=float)


def _answer(made: Prediction, kind: Kind) -> Answer:
    return None if made.answer is None else kind.as_json(made.answer)


def _predictions(inputs: Any, predict: Predict) -> list[Prediction | None]:
    """Predict the inputs that are not missing, each in its place."""
    listed = text_list(inputs)
    there = [value for value in listed if value is not None]
    made = iter(predict(there) if there else [])
    return [None if value is None else next(made) for value in listed]


def text_list(inputs: Any) -> list[Input | None]:
    """List the inputs of a collection, None for a missing one; raises `InputError` for what is not texts."""
    known = isinstance(inputs, list | tuple) or _package(inputs) in ("numpy", "pandas", "polars", "pyarrow", "datasets")
    if not known or getattr(inputs, "ndim", 1) != 1 or hasattr(inputs, "columns") or not hasattr(inputs, "__iter__"):
        raise InputError(
            f"These inputs are of type {type(inputs).__name__}; give a text, a list of texts or a Series of them."
        )
    values = inputs.to_pylist() if hasattr(inputs, "to_pylist") else list(inputs)
    return [_text(value, number) for number, value in enumerate(values, start=1)]


def _package(inputs: Any) -> str:
    return type(inputs).__module__.partition(".")[0]


def _text(value: Any, number: int) -> Input | None:
    if isinstance(value, Image):
        return value
    if value is None or value != value or type(value).__name__ == "NAType":  # noqa: PLR0124 (a not-a-number)
        return None
    if not isinstance(value, str):
        raise InputError(f"Input {number} is {value!r:.40}, which is not a text; give texts.")
    return str(value) if value.strip() else None
