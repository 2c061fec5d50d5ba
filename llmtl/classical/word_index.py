"""Okapi BM25 over a corpus: the score of every text for a query, by the words that both have.

The variant is Lucene's (Kamphuis et al. 2020, "Which BM25 Do You Mean?", section 2): the idf is
ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative, and a query counts a word as often as it has it. The part of
each text and word is computed once, in a sparse matrix (Lu 2024, "BM25S", https://arxiv.org/abs/2407.03618), so that
scoring is a matrix product. Not covered: stemming, stop words (idf makes them light), phrases.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer

WORD = r"(?u)\b\w+\b"
"""Every word and number, single letters included."""


def counter(vocabulary: Sequence[str] | None = None) -> CountVectorizer:
    """Make what counts the words of texts, lower-cased; `vocabulary` are those that it knows, in order."""
    known = None if vocabulary is None else {word: column for column, word in enumerate(vocabulary)}
    return CountVectorizer(token_pattern=WORD, vocabulary=known)


def count_words(texts: Sequence[str]) -> tuple[tuple[str, ...], Any]:
    """Count words: those that occur, sorted, and counts of shape (texts, words)."""
    if not any(counter().build_analyzer()(text) for text in texts):
        return (), csr_array((len(texts), 0))
    words = counter()
    counts = words.fit_transform(texts)
    return tuple(words.get_feature_names_out().tolist()), csr_array(counts)


def weigh(counts: Any, *, k1: float, b: float) -> Any:
    """Compute what each word adds to each text's score, shape (D texts, words); `counts` has the same shape."""
    texts = counts.shape[0]
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    mean = lengths.mean() if lengths.any() else 1.0
    holding = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = np.log1p((texts - holding + 0.5) / (holding + 0.5))
    weights = counts.astype(np.float64)
    row_of = np.repeat(np.arange(texts), np.diff(weights.indptr))
    often = weights.data
    norm = k1 * (1 - b + b * lengths[row_of] / mean)
    weights.data = idf[weights.indices] * often / (often + norm)
    return weights


@dataclass(frozen=True)
class WordIndex:
    """An index of D texts: the words it knows, in order, and `weights` of shape (D, words)."""

    words: tuple[str, ...]
    weights: Any

    def scores(self, queries: Sequence[str]) -> NDArray[np.float64]:
        """Score every text for each query, shape (queries, D); words that no text has add nothing."""
        if not self.words:
            return np.zeros((len(queries), self.weights.shape[0]))
        counts = csr_array(self._counter.transform(queries))
        return np.asarray((counts @ self.weights.T).toarray(), dtype=np.float64)

    @cached_property
    def _counter(self) -> CountVectorizer:
        return counter(self.words)
