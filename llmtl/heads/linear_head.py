"""A linear model on rows of numbers that a frozen model gave: fitted on train, chosen on dev, calibrated, kept.

The probabilities of labels get vector scaling, and those of label sets the same for each label, fitted on dev where
cross-validation says that it helps. The threshold of label sets is chosen on dev. Not covered: what the rows are, and
which of several kinds of rows is best (the strategies); tags of words (`llmtl.classical.tagging`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from scipy.special import expit

from llmtl.answers import read_labels
from llmtl.classical.files import read_arrays, read_facts
from llmtl.classical.label_sets import answers_of, best_threshold, one_vs_rest
from llmtl.classical.linear import LinearModel, path, tries_even_prior
from llmtl.classical.set_calibration import calibrate_sets
from llmtl.findings import CalibrationTrace
from llmtl.metrics.recalibration import LabelCalibration, Method, affine_calibration
from llmtl.prompting.calibrating import FEWEST, Known, better
from llmtl.strategy import FitContext, Prediction
from llmtl.task import Example, Task, references

Point = TypeVar("Point")


@dataclass(frozen=True)
class LinearHead:
    """A linear model for the task's labels; `choice` says how it was made, with the `threshold` of label sets.

    With the frequencies of the labels in train as `prior`, the answer is what is likeliest as if all were as frequent:
    the best guess by balanced accuracy. The probabilities are as they are, so that they stay calibrated: the logit
    adjustment of Menon et al. (2021), "Long-tail learning via logit adjustment", section 4.1
    (https://arxiv.org/abs/2007.07314), for the decision alone.
    """

    task: Task
    model: LinearModel
    choice: Mapping[str, Any]
    calibration: LabelCalibration | None = None
    prior: tuple[float, ...] | None = None

    def probabilities(self, rows: Any) -> Any:
        """Compute an array, N rows x C labels in the task's order; those of label sets do not sum to 1.

        Of one label, those that train lacks have probability 0.
        """
        if self.task.kind.lists:
            return expit(self.model.logits(rows))
        found = np.zeros((len(rows), len(self.task.labels)))
        found[:, [self.task.labels.index(label) for label in self.model.labels]] = self.model.probabilities(rows)
        return found if self.calibration is None else self.calibration.apply(found)

    def answers(self, rows: Any) -> list[tuple[str, dict[str, float]]]:
        """Give each row's canonical answer and the probabilities of all labels."""
        found, labels = self.probabilities(rows), self.task.labels
        told = [dict(zip(labels, row, strict=True)) for row in found.tolist()]
        if self.task.kind.lists:
            return list(zip(answers_of(self.task, found, self.choice["threshold"]), told, strict=True))
        if self.prior is not None:
            found = found / np.array(self.prior)
        return [(labels[at], each) for at, each in zip(found.argmax(axis=1), told, strict=True)]

    def kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give what `llmtl.classical.files` writes: facts and arrays."""
        calibration = None if self.calibration is None else asdict(self.calibration)
        facts: dict[str, Any] = {"choice": dict(self.choice), "labels": list(self.model.labels)}
        facts["calibration"] = calibration
        if self.prior is not None:
            facts["prior"] = list(self.prior)
        return facts, {"weights": self.model.weights, "intercepts": self.model.intercepts}

    @classmethod
    def read(cls, task: Task, folder: Path) -> "LinearHead":
        """Read what was written; raises `RunError` when it is missing or damaged."""
        facts, arrays = read_facts(folder), read_arrays(folder)
        model = LinearModel.stored(facts["labels"], arrays, known=task.labels)
        kept = facts["calibration"]
        calibration = kept and LabelCalibration(Method(kept["method"]), tuple(kept["scale"]), tuple(kept["bias"]))
        prior = facts.get("prior")
        if prior is not None and (len(prior) != len(task.labels) or not min(prior) > 0):
            raise ValueError("the frequencies of labels do not fit the task")
        return cls(task, model, facts["choice"], calibration, prior and tuple(prior))


def heads_on_dev(
    context: FitContext,
    train: Sequence[Example],
    rows: tuple[Any, Any],
    strengths: Sequence[float],
    choice: Mapping[str, Any],
) -> Iterator[tuple[LinearHead, list[str]]]:
    """Yield the heads at each C of `strengths`, which rise, with their dev answers at their best threshold there.

    There are `heads_per_strength`: one that answers by the frequencies of labels in train and, where rare labels count
    as much as others, one that answers as if all were as frequent. `rows` are those of `train` and of dev, (N, width),
    in double precision; `choice` is what else was chosen.
    """
    task = context.task
    if task.kind.lists:
        chosen = [read_labels(each.reference) for each in train]
        models = standardised(rows[0], lambda scaled: one_vs_rest(scaled, chosen, task.labels, strengths))
    else:
        models = standardised(rows[0], lambda scaled: path(scaled, references(train), strengths))
    for c, model in zip(strengths, models, strict=True):
        made = {**choice, "c": c}
        yield _answering(LinearHead(task, model, made), rows[1], context)
        if tries_even_prior(task):
            yield _answering(_as_if_even(LinearHead(task, model, {**made, "prior": "even"}), train), rows[1], context)


def _as_if_even(head: LinearHead, train: Sequence[Example]) -> LinearHead:
    """Let a head answer as if all labels were as frequent; what train lacks has probability 0 as before."""
    counts = Counter(references(train))
    return replace(head, prior=tuple(max(1, counts[label]) / len(train) for label in head.task.labels))


def heads_per_strength(task: Task) -> int:
    """Count the heads that `heads_on_dev` makes at each C."""
    return 1 + tries_even_prior(task)


def standardised(rows: Any, fit: Callable[[Any], Iterator[LinearModel]]) -> Iterator[LinearModel]:
    """Fit models on rows of mean 0 and deviation 1, and turn their weights into weights for rows as they are."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread[spread == 0] = 1.0
    for model in fit((rows - mean) / spread):
        weights = model.weights / spread
        intercepts = (model.intercepts - weights @ mean).astype(np.float32)
        yield replace(model, weights=weights.astype(np.float32), intercepts=intercepts)


def in_time(points: Iterable[Point], context: FitContext, start: float, *, name: str) -> Iterator[Point]:
    """Yield points of a grid until the time for fitting, which began at `start`, is used up, but at least one."""
    limit = context.budget.train_seconds
    for point in points:
        yield point
        if limit is not None and perf_counter() - start > limit:
            context.progress.say(f"{name}: no time for the rest of the grid")
            return


def calibrated(head: LinearHead, context: FitContext, rows: Any) -> tuple[LinearHead, tuple[CalibrationTrace, ...]]:
    """Calibrate where that helps in cross-validation on dev, whose rows, (N, width), are `rows`."""
    if context.task.kind.lists:
        return _calibrated_sets(head, context, rows)
    predictions = [Prediction(str(at), answer, told) for at, (answer, told) in enumerate(head.answers(rows))]
    known = Known.of(context.task, context.dev, predictions)
    enough = len(known.truth) >= FEWEST[Method.AFFINE]
    calibration, traces = better(known, {Method.AFFINE: affine_calibration} if enough else {}, seed=context.seed)
    return replace(head, calibration=calibration), traces


def _answering(head: LinearHead, dev_rows: Any, context: FitContext) -> tuple[LinearHead, list[str]]:
    """Give a head, at the best threshold where an answer has several labels, and its answers on dev."""
    if context.task.kind.lists:
        threshold, answers = best_threshold(head.probabilities(dev_rows), context)
        return replace(head, choice={**head.choice, "threshold": threshold}), answers
    return head, [answer for answer, _ in head.answers(dev_rows)]


def _calibrated_sets(
    head: LinearHead, context: FitContext, rows: Any
) -> tuple[LinearHead, tuple[CalibrationTrace, ...]]:
    """Calibrate each label where that helps; its threshold moves along."""
    if len(rows) < FEWEST[Method.AFFINE]:
        return head, (CalibrationTrace(None, len(rows)),)
    model, thresholds, trace = calibrate_sets(
        head.model, head.model.logits(rows), threshold=head.choice["threshold"], context=context
    )
    return replace(head, model=model, choice={**head.choice, "threshold": thresholds}), (trace,)
