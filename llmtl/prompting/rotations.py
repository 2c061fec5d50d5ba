"""The labels of a prompt listed in several orders, and the mean of what the model says after each.

A model leans to labels by the places at which they are listed, small ones most (Zheng et al. 2024, "Large Language
Models Are Not Robust Multiple Choice Selectors"). The orders are rotations of the task's, evenly spaced, so that every
label stands early in one of them and late in another. Not covered: whether that is worth its cost (the search on dev).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from llmtl.engines.vllm.branches import NEGLIGIBLE
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.progress import Advance, unwatched
from llmtl.prompting.predictors import Asker
from llmtl.strategy import Prediction
from llmtl.task import Input


def label_orders(labels: Sequence[str], count: int) -> tuple[tuple[str, ...], ...]:
    """List up to `count` rotations of the labels, each once, the given order first."""
    number = max(1, min(count, len(labels)))
    starts = [turn * len(labels) // number for turn in range(number)]
    return tuple((*labels[start:], *labels[:start]) for start in starts)


def mean_probabilities(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average probabilities of the same labels: the mean of their logarithms, made to sum to 1.

    A lean to places that multiplies the odds falls out of that mean when every label has stood at every place (AnyJev,
    arXiv:2610.00831, `logmean`; the mean of probabilities of Zheng et al. 2024 leaves a part of it). What is below
    `NEGLIGIBLE` counts as that much: engines that ask branch by branch know no smaller ones, and no single order can
    rule a label out.
    """
    labels = list(rows[0])
    table = np.array([[row[label] for label in labels] for row in rows])  # (orders, labels)
    logs = np.log(np.maximum(table, NEGLIGIBLE)).mean(axis=0)
    weights = np.exp(logs - logs.max())
    return dict(zip(labels, (weights / weights.sum()).tolist(), strict=True))


def likeliest(probabilities: Mapping[str, float]) -> str:
    """Pick the label with the highest probability, of equals the first."""
    return max(probabilities, key=probabilities.__getitem__)


class RotatedPredictor:
    """A predictor that asks once per order of the labels; `orders` are the predictors of each, uncalibrated.

    Tokens and seconds are those of all orders together. The prefix that prompts of one order share, its labels
    included, is computed once by an engine that keeps prefixes, since all inputs are asked in one order before the
    next.
    """

    def __init__(self, orders: Sequence[Asker], *, calibration: LabelCalibration | None = None) -> None:
        self._orders = tuple(orders)
        self._calibration = calibration

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one per text; a text whose prompt does not fit the context in some order is a failure."""
        *others, last = self._orders
        asked = [order.predict(inputs) for order in others]
        asked.append(last.predict(inputs, advance=advance))
        return [self._averaged(rows) for rows in zip(*asked, strict=True)]

    def prompt_room(self) -> int:
        """Say how many tokens a prompt may have, at most, beside the longest answer and its end token."""
        return self._orders[0].prompt_room()

    def _averaged(self, rows: Sequence[Prediction]) -> Prediction:
        """Return the prediction of one input from those of every order."""
        failed = next((row for row in rows if row.answer is None), None)
        probabilities = {} if failed else mean_probabilities([row.probabilities for row in rows])
        answer = likeliest(probabilities) if probabilities else None
        if self._calibration is not None and probabilities:
            answer, probabilities = self._calibration.label(probabilities)
        return Prediction(
            id=rows[0].id,
            answer=answer,
            probabilities=probabilities,
            failure=failed.failure if failed else None,
            prompt_tokens=sum(row.prompt_tokens for row in rows),
            cached_tokens=sum(row.cached_tokens for row in rows),
            completion_tokens=sum(row.completion_tokens for row in rows),
            seconds=sum(row.seconds for row in rows),
        )
