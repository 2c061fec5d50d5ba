"""F1 over the items of an answer (labels, spans, fields): counted by example, so that resamples are sums.

An example's counts are, for each label, the hits and the size: items in the reference plus items in the answer. F1 is
2 hits / size (van Rijsbergen 1979, "Information Retrieval", chapter 7, with precision and recall weighing the same).

A failed answer is an empty one. Where nothing was to be found that would be right, so it is charged with one false
item there, shared out over the labels like the references. Not covered: what an item is (`labels`, `spans`).
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from llmtl.task import Metric

Floats = NDArray[np.float64]
Keys = Counter[Hashable]
Items = Mapping[str, Keys]
"""What an answer claims: for each label, the items of it and how often each is claimed."""


@dataclass(frozen=True)
class F1Measure:
    """Micro- or macro-averaged F1.

    `read` takes an answer apart; an answer that names a label outside `labels` counts as failed. `agree` returns the
    hits among the items of one label, 0 to the smaller number of items. The macro average is over the labels that occur
    in references or answers (scikit-learn's with `zero_division=nan`).
    """

    metric: Metric
    labels: tuple[str, ...]
    expected: tuple[Items, ...]
    read: Callable[[str], Items]
    agree: Callable[[Keys, Keys], float]
    macro: bool

    def counts(self, answers: Sequence[str | None]) -> Floats:
        """Return hits and sizes, shape (N, 2), or by label, shape (N, 2C): all hits, then all sizes."""
        hits, sizes = self._by_label(answers)
        if self.macro:
            return np.concatenate([hits, sizes], axis=1)
        return np.stack([hits.sum(axis=1), sizes.sum(axis=1)], axis=1)

    def value(self, totals: Floats) -> Floats:
        """Return F1 of summed counts, shape (..., S) to (...); it is 1 where there is nothing to find and no claim."""
        half = totals.shape[-1] // 2
        hits, sizes = totals[..., :half], totals[..., half:]
        present = sizes > 0
        f1 = np.divide(2 * hits, sizes, out=np.zeros_like(sizes), where=present)
        number = present.sum(axis=-1)
        mean = np.where(number > 0, f1.sum(axis=-1) / np.maximum(number, 1), 1.0)
        return np.asarray(mean, dtype=np.float64)

    def without_hits(self, counts: Floats) -> Floats:
        """Return the counts of answers that claim as much and have nothing right, shape (..., S) to (..., S)."""
        half = counts.shape[-1] // 2
        return np.concatenate([np.zeros_like(counts[..., :half]), counts[..., half:]], axis=-1)

    @cached_property
    def rests_on(self) -> float:
        """Return the mean share of the examples that a label occurs in; 1 for a micro average."""
        shares = (self._expected_sizes > 0).mean(axis=0)
        return float(shares[shares > 0].mean()) if self.macro and shares.any() else 1.0

    def each(self, answers: Sequence[str | None]) -> Floats:
        """Return the micro-F1 of each example by itself, shape (N,)."""
        hits, sizes = (part.sum(axis=1) for part in self._by_label(answers))
        f1 = np.divide(2 * hits, sizes, out=np.ones_like(sizes), where=sizes > 0)
        return np.asarray(f1, dtype=np.float64)

    def _by_label(self, answers: Sequence[str | None]) -> tuple[Floats, Floats]:
        """Return the hits and the sizes of each example and label, both (N, C)."""
        hits, sizes = np.zeros_like(self._expected_sizes), self._expected_sizes.copy()
        for row, (truth, answer) in enumerate(zip(self.expected, answers, strict=True)):
            found = self._found(answer)
            if found is None:
                sizes[row] += 0.0 if truth else self._charge
                continue
            for label, keys in found.items():
                column = self._column[label]
                sizes[row, column] += keys.total()
                if label in truth:
                    hits[row, column] = self.agree(truth[label], keys)
        return hits, sizes

    def _found(self, answer: str | None) -> Items | None:
        found = None if answer is None else self.read(answer)
        return found if found is not None and found.keys() <= self._column.keys() else None

    @cached_property
    def _column(self) -> dict[str, int]:
        return {label: column for column, label in enumerate(self.labels)}

    @cached_property
    def _expected_sizes(self) -> Floats:
        sizes = np.zeros((len(self.expected), len(self.labels)))
        for row, truth in enumerate(self.expected):
            for label, keys in truth.items():
                sizes[row, self._column[label]] = keys.total()
        return sizes

    @cached_property
    def _charge(self) -> Floats:
        """Return the false item of a failed answer where nothing was to be found, shape (C,), summing to 1."""
        sizes = self._expected_sizes.sum(axis=0)
        return np.asarray(sizes / sizes.sum() if sizes.sum() else np.full_like(sizes, 1 / max(1, sizes.size)))


def common(expected: Keys, claimed: Keys) -> float:
    """Return how many items two multisets share."""
    return float((expected & claimed).total())
