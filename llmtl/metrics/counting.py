"""Build every metric from counts of each example, whose sums give the metric of any selection of examples.

So a resample of the examples is a matrix product, `weights @ counts`. There are two kinds: being right or wrong
(accuracy, exact match) and F1 over the items of an answer.

For F1 (labels, spans, fields) an example counts, for each label, the hits and the size: items in the reference plus
items in the answer. F1 is 2 hits / size (van Rijsbergen 1979, "Information Retrieval", chapter 7, with equal weights
for precision and recall). A failed answer is an empty one. Where there was nothing to find that would be right, so it
is charged with one false item there, split over the labels like the references.

Not covered: what an item is (`labels`, `spans`), generated text (`text`), intervals (`intervals`, `summed`).
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import DataError
from llmtl.values import Metric

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Answers = Sequence[str | None]
"""One canonical answer (`llmtl.answers`) per example; None records a failure, which is an empty answer and an error."""
Keys = Counter[Hashable]
Items = Mapping[str, Keys]
"""What an answer claims: for each label, the items of it and how often each is claimed."""


def check_aligned(references: Sequence[str], predictions: Answers) -> None:
    """Raise `DataError` unless there is one prediction per reference and at least one."""
    if not references:
        raise DataError("There is nothing to score; give at least one example.")
    if len(references) != len(predictions):
        raise DataError(
            f"There are {len(predictions)} predictions for {len(references)} references; give one for each."
        )


class Measure(ABC):
    """One metric on one set of references."""

    metric: Metric

    @abstractmethod
    def counts(self, answers: Answers) -> Floats:
        """Count each example, shape (N, S); S is the same for all answers."""

    @abstractmethod
    def value(self, totals: Floats) -> Floats:
        """Turn counts summed over examples into the metric, shape (..., S) to (...), 0 to 1."""

    @abstractmethod
    def without_hits(self, counts: Floats) -> Floats:
        """Take the hits out of counts, as if the answers claimed as much but got nothing right; same shape."""

    @abstractmethod
    def each(self, answers: Answers) -> Floats:
        """Score each example by itself, shape (N,), 0 to 1, for racing and display."""

    @property
    def rests_on(self) -> float:
        """The share of the examples that one part of the metric rests on: 1 except for a macro average."""
        return 1.0

    @property
    def of_items(self) -> bool:
        """Whether the metric is a ratio of two counts, hits and size, of which one example may have several."""
        return False

    def score(self, answers: Answers) -> float:
        """Score all examples together."""
        return float(self.value(self.counts(answers).sum(axis=0)))


class MeanMeasure(Measure):
    """A mean of the examples' own scores: each example counts its score, and 1."""

    def counts(self, answers: Answers) -> Floats:
        """Count each example, shape (N, 2)."""
        scores = self.each(answers)
        return np.stack([scores, np.ones_like(scores)], axis=1)

    def value(self, totals: Floats) -> Floats:
        """Divide the summed scores by the number of examples, shape (..., 2) to (...)."""
        return np.asarray(totals[..., 0] / totals[..., 1], dtype=np.float64)

    def without_hits(self, counts: Floats) -> Floats:
        """Keep only the number of examples."""
        return np.asarray(counts * (0.0, 1.0), dtype=np.float64)


@dataclass(frozen=True)
class ExactMeasure(MeanMeasure):
    """The share of answers that are one of the accepted ones; `key` turns an answer into what is compared."""

    metric: Metric
    accepted: tuple[frozenset[Hashable], ...]
    key: Callable[[str], Hashable]

    def each(self, answers: Answers) -> Floats:
        """Give 1 for a right and 0 for a wrong or failed answer, shape (N,)."""
        pairs = zip(self.accepted, answers, strict=True)
        return np.array([answer is not None and self.key(answer) in accepted for accepted, answer in pairs], float)


def exact(
    metric: Metric,
    references: Sequence[str],
    key: Callable[[str], Hashable],
    *,
    alternatives: Sequence[Sequence[str]] = (),
) -> ExactMeasure:
    """Measure how many answers equal their reference, or one of its alternatives, in what `key` keeps."""
    others = alternatives or [()] * len(references)
    accepted = [frozenset(map(key, (one, *more))) for one, more in zip(references, others, strict=True)]
    return ExactMeasure(metric, tuple(accepted), key)


@dataclass(frozen=True)
class F1Measure(Measure):
    """Micro- or macro-averaged F1.

    `read` takes an answer apart; an answer that names a label outside `labels` counts as failed. `agree` counts the
    hits among the items of one label, 0 to the smaller number of items. The macro average is over the labels that occur
    in references or answers (scikit-learn's with `zero_division=nan`).
    """

    metric: Metric
    labels: tuple[str, ...]
    expected: tuple[Items, ...]
    read: Callable[[str], Items]
    agree: Callable[[Keys, Keys], float]
    macro: bool

    def counts(self, answers: Answers) -> Floats:
        """Count hits and sizes, shape (N, 2), or by label, shape (N, 2C): all hits, then all sizes."""
        hits, sizes = self._by_label(answers)
        if self.macro:
            return np.concatenate([hits, sizes], axis=1)
        return np.stack([hits.sum(axis=1), sizes.sum(axis=1)], axis=1)

    def value(self, totals: Floats) -> Floats:
        """Turn summed counts into F1, shape (..., S) to (...); it is 1 where there is nothing to find and no claim."""
        half = totals.shape[-1] // 2
        hits, sizes = totals[..., :half], totals[..., half:]
        present = sizes > 0
        f1 = np.divide(2 * hits, sizes, out=np.zeros_like(sizes), where=present)
        number = present.sum(axis=-1)
        mean = np.where(number > 0, f1.sum(axis=-1) / np.maximum(number, 1), 1.0)
        return np.asarray(mean, dtype=np.float64)

    def without_hits(self, counts: Floats) -> Floats:
        """Set all hits to zero and leave the sizes."""
        half = counts.shape[-1] // 2
        return np.concatenate([np.zeros_like(counts[..., :half]), counts[..., half:]], axis=-1)

    @property
    def rests_on(self) -> float:
        """The mean share of the examples that a label occurs in; 1 for a micro average."""
        shares = (self._expected_sizes > 0).mean(axis=0)
        return float(shares[shares > 0].mean()) if self.macro and shares.any() else 1.0

    @property
    def of_items(self) -> bool:
        """Whether this is a micro average."""
        return not self.macro

    def each(self, answers: Answers) -> Floats:
        """Score each example by its own micro-F1, shape (N,)."""
        hits, sizes = (part.sum(axis=1) for part in self._by_label(answers))
        f1 = np.divide(2 * hits, sizes, out=np.ones_like(sizes), where=sizes > 0)
        return np.asarray(f1, dtype=np.float64)

    def _by_label(self, answers: Answers) -> tuple[Floats, Floats]:
        """Count the hits and the sizes of each example and label, both (N, C)."""
        at, rows = _distinct(list(zip(map(id, self.expected), answers, strict=True)))
        # P pairs of a reference and an answer that differ, each counted once: labels make few of them
        hits, claimed = np.zeros((2, len(rows), len(self.labels)))
        for pair, row in enumerate(rows):
            truth, found = self.expected[row], self._found(answers[row])
            if found is None:
                claimed[pair] = 0.0 if truth else self._charge
                continue
            for label, keys in found.items():
                column = self._column[label]
                claimed[pair, column] = keys.total()
                if label in truth:
                    hits[pair, column] = self.agree(truth[label], keys)
        return hits[at], self._expected_sizes + claimed[at]

    def _found(self, answer: str | None) -> Items | None:
        found = None if answer is None else self.read(answer)
        return found if found is not None and found.keys() <= self._column.keys() else None

    @cached_property
    def _column(self) -> dict[str, int]:
        return {label: column for column, label in enumerate(self.labels)}

    @cached_property
    def _expected_sizes(self) -> Floats:
        at, rows = _distinct(list(map(id, self.expected)))
        sizes = np.zeros((len(rows), len(self.labels)))
        for distinct, row in enumerate(rows):
            for label, keys in self.expected[row].items():
                sizes[distinct, self._column[label]] = keys.total()
        return np.asarray(sizes[at], dtype=np.float64)

    @cached_property
    def _charge(self) -> Floats:
        """Split the false item of a failed answer where there was nothing to find: (C,), summing to 1."""
        sizes = self._expected_sizes.sum(axis=0)
        return np.asarray(sizes / sizes.sum() if sizes.sum() else np.full_like(sizes, 1 / max(1, sizes.size)))


def read_all(read: Callable[[str], Items], references: Sequence[str]) -> tuple[Items, ...]:
    """Read every reference, equal ones once: `F1Measure` counts what is the same object once."""
    known = {reference: read(reference) for reference in dict.fromkeys(references)}
    return tuple(known[reference] for reference in references)


def _distinct(keys: Sequence[Hashable]) -> tuple[Integers, list[int]]:
    """Number the distinct keys; return the number of each key and the row where each number stands first."""
    numbers: dict[Hashable, int] = {}
    at = [numbers.setdefault(key, len(numbers)) for key in keys]
    rows = [-1] * len(numbers)
    for row in range(len(keys) - 1, -1, -1):
        rows[at[row]] = row
    return np.array(at, dtype=np.int64), rows


def common(expected: Keys, claimed: Keys) -> float:
    """Count the items that two multisets share."""
    return float((expected & claimed).total())
