"""What a tuned encoder learns from and what its scores mean, for each shape of answers: labels of texts, tags of words.

Labels of texts get the calibrations of `llmtl.heads.linear_head`, for which the encoder's scores are the rows. Words,
tags and their best valid sequence are those of `llmtl.classical`. Not covered: training (`llmtl.encoders.fine_tuning`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy.special import log_expit, log_softmax

from llmtl.answers import read_labels, read_spans, write_spans
from llmtl.classical.files import read_facts
from llmtl.classical.label_sets import best_threshold
from llmtl.classical.linear import LinearModel
from llmtl.classical.tagging import bio_tags, decode
from llmtl.classical.words import Word, to_spans, to_tags, words_of
from llmtl.encoders.fine_tuning import IGNORED, TrainingText
from llmtl.encoders.network import Scores, over_windows
from llmtl.encoders.units import TaggedUnit, units_in, units_of
from llmtl.encoders.windows import Windows
from llmtl.errors import DataError
from llmtl.findings import CalibrationTrace
from llmtl.heads.linear_head import LinearHead, calibrated
from llmtl.kinds.kind import AnswerShape
from llmtl.strategy import FitContext, Prediction
from llmtl.task import Example, Task, references


@dataclass(frozen=True)
class ReadText:
    """A text with its windows, and the scores of each."""

    text: str
    windows: Windows
    scores: Sequence[Scores]


class Head(Protocol):
    """What the scores of one shape of answers mean."""

    @property
    def outputs(self) -> int:
        """Count the scores."""

    @property
    def of_words(self) -> bool:
        """Say whether words are scored, not texts."""

    def row(self, example: Example, windows: Windows) -> TrainingText:
        """Make a training example."""

    def judged(self, readings: Sequence[ReadText], context: FitContext) -> tuple[float, float]:
        """Compute the task's metric and the mean loss on dev, whose readings are given."""

    def finished(
        self, readings: Sequence[ReadText], context: FitContext
    ) -> "tuple[Head, tuple[CalibrationTrace, ...]]":
        """Choose what is left to choose on dev, and calibrate."""

    def predictions(self, readings: Sequence[ReadText], *, first: int) -> list[Prediction]:
        """Answer, numbered from `first`."""

    def kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give what `llmtl.classical.files` writes: facts and arrays."""


def head_for(context: FitContext) -> Head:
    """Make the head that the training examples ask for.

    Raises `DataError` without training examples, and for extraction without a span in them.
    """
    task = context.task
    if not context.train:
        raise DataError("There are no training examples; label some, or make the train share larger.")
    if task.kind.shape is not AnswerShape.SPANS:
        seen = {label for each in context.train for label in task.kind.named(each.reference)}
        lacking = [label for label in task.labels if label not in seen]
        if lacking:
            context.progress.say(
                f"No training example has the label '{lacking[0]}'"
                + (f" (nor {len(lacking) - 1} others)" if len(lacking) > 1 else "")
                + ", so what is tuned cannot learn it; label some examples of it."
            )
        labels = task.labels if task.kind.lists else tuple(label for label in task.labels if label in seen)
        plain = LinearModel(labels, np.eye(len(labels), dtype=np.float32), np.zeros(len(labels), np.float32))
        return TextHead(LinearHead(task, plain, {"threshold": 0.5} if task.kind.lists else {}))
    if not any(read_spans(each.reference) for each in context.train):
        raise DataError("No training example has a span; label some, or leave tuned encoders out of 'strategies.run'.")
    return TaggingHead(task)


def read_head(task: Task, folder: Path) -> Head:
    """Read a head that was kept; raises `RunError` when it is missing or damaged."""
    if task.kind.shape is not AnswerShape.SPANS:
        return TextHead(LinearHead.read(task, folder))
    read_facts(folder)
    return TaggingHead(task)


@dataclass(frozen=True)
class TextHead:
    """Labels of whole texts; `linear` reads the encoder's scores, one for each label that train has."""

    linear: LinearHead
    of_words = False

    @property
    def outputs(self) -> int:
        """Count the labels."""
        return len(self.linear.model.labels)

    def row(self, example: Example, windows: Windows) -> TrainingText:
        """Take the label, or whether each label is there."""
        if self.linear.task.kind.lists:
            there = read_labels(example.reference)
            return TrainingText(windows, tuple(float(label in there) for label in self.linear.model.labels))
        return TrainingText(windows, self.linear.model.labels.index(example.reference))

    def judged(self, readings: Sequence[ReadText], context: FitContext) -> tuple[float, float]:
        """Score the answers, of label sets at the best threshold; the loss is that of training."""
        task, logits = self.linear.task, _logits(readings)
        measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
        labels = self.linear.model.labels
        if task.kind.lists:
            there = np.array([[label in read_labels(each.reference) for label in labels] for each in context.dev])
            loss = -np.where(there, log_expit(logits), log_expit(-logits)).mean()
            return measure.score(best_threshold(self.linear.probabilities(logits), context)[1]), float(loss)
        logs = log_softmax(logits, axis=1)
        at = {label: place for place, label in enumerate(labels)}
        known = [-logs[row, at[each.reference]] for row, each in enumerate(context.dev) if each.reference in at]
        return measure.score([answer for answer, _ in self.linear.answers(logits)]), float(np.mean(known))

    def finished(
        self, readings: Sequence[ReadText], context: FitContext
    ) -> "tuple[TextHead, tuple[CalibrationTrace, ...]]":
        """Choose the threshold of label sets, and calibrate where that helps."""
        head, logits = self.linear, _logits(readings)
        if head.task.kind.lists:
            threshold, _ = best_threshold(head.probabilities(logits), context)
            head = replace(head, choice={**head.choice, "threshold": threshold})
        head, traces = calibrated(head, context, logits)
        return TextHead(head), traces

    def predictions(self, readings: Sequence[ReadText], *, first: int) -> list[Prediction]:
        """Give the answers with the probabilities of all labels."""
        answers = self.linear.answers(_logits(readings))
        return [Prediction(str(at), answer, told) for at, (answer, told) in enumerate(answers, start=first)]

    def kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Keep the linear model on the scores."""
        return self.linear.kept()


@dataclass(frozen=True)
class TaggingHead:
    """BIO tags of words, of which only valid sequences are taken."""

    task: Task
    of_words = True

    @property
    def tags(self) -> tuple[str, ...]:
        """List the tags."""
        return bio_tags(self.task.labels)

    @property
    def outputs(self) -> int:
        """Count the tags."""
        return len(self.tags)

    def row(self, example: Example, windows: Windows) -> TrainingText:
        """Tag the first token of each word, in every window that shows it."""
        words = [(word.start, word.end) for word in words_of(example.text)]
        spans = read_spans(example.reference)
        target = []
        for number, window in enumerate(windows):
            tags = [IGNORED] * len(window)
            units = units_in(words, window, number=number)
            named = to_tags(_as_words(example.text, units), spans)
            if number and named and any(span.start < units[0].start < span.end for span in spans):
                named[0] = f"I-{named[0][2:]}"  # the window begins within a span
            for unit, tag in zip(units, named, strict=True):
                tags[unit.token] = self.tags.index(tag)
            target.append(tuple(tags))
        return TrainingText(windows, tuple(target))

    def judged(self, readings: Sequence[ReadText], context: FitContext) -> tuple[float, float]:
        """Score the spans; the loss is the mean over words."""
        measure = self.task.kind.measure(self.task.metric, references(context.dev), labels=self.task.labels)
        losses: list[float] = []
        for reading, example in zip(readings, context.dev, strict=True):
            units, logs = self._read(reading)
            right = to_tags(_as_words(reading.text, units), read_spans(example.reference))
            losses += [-row[self.tags.index(tag)] for row, tag in zip(logs, right, strict=True)]
        answers = [each.answer for each in self.predictions(readings, first=0)]
        return measure.score(answers), float(np.mean(losses)) if losses else 0.0

    def finished(
        self, readings: Sequence[ReadText], context: FitContext
    ) -> "tuple[TaggingHead, tuple[CalibrationTrace, ...]]":
        """Leave all as it is: log-probabilities of whole answers are calibrated where confidences are asked for."""
        del readings, context
        return self, ()

    def predictions(self, readings: Sequence[ReadText], *, first: int) -> list[Prediction]:
        """Give the spans of the likeliest valid tags, with the log-probability of all tags together."""
        read = [self._read(reading) for reading in readings]
        decoded = decode([logs for _, logs in read], self.tags)
        return [
            Prediction(
                str(at),
                write_spans(to_spans(reading.text, _as_words(reading.text, units), tags)),
                logprob=min(0.0, logprob),
            )
            for at, (reading, (units, _), (tags, logprob)) in enumerate(
                zip(readings, read, decoded, strict=True), start=first
            )
        ]

    def kept(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Keep the tags, for readers."""
        return {"tags": list(self.tags)}, {}

    def _read(self, reading: ReadText) -> tuple[list[TaggedUnit], Any]:
        """List the units of a text, and the log-probabilities of their tags, (units, K)."""
        units = units_of([(word.start, word.end) for word in words_of(reading.text)], reading.windows)
        rows = [reading.scores[unit.window][unit.token] for unit in units]
        return units, log_softmax(np.array(rows, dtype=float).reshape(len(rows), self.outputs), axis=1)


def _logits(readings: Sequence[ReadText]) -> Any:
    """Average scores over windows: (N, K) in double precision."""
    return np.stack([over_windows(each.windows, each.scores) for each in readings]).astype(float)


def _as_words(text: str, units: Sequence[TaggedUnit]) -> list[Word]:
    return [Word(text[unit.start : unit.end], unit.start, unit.end) for unit in units]
