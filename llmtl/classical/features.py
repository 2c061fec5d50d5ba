"""Texts to TF-IDF rows by scikit-learn. Not covered: stemming, stop words, other weightings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy.sparse import csr_array, hstack
from sklearn.feature_extraction.text import TfidfVectorizer

from llmtl.classical.config import Features

_KINDS: dict[str, dict[str, Any]] = {
    # the default pattern drops words of one letter; some languages have little else
    "word": {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"},
    "char": {"analyzer": "char_wb", "ngram_range": (2, 4)},
}


@dataclass(frozen=True)
class Vectoriser:
    """Fitted vectorisers whose columns stand side by side; without any (no words in any text) rows are empty."""

    parts: tuple[TfidfVectorizer, ...]

    def rows(self, texts: Sequence[str]) -> Any:
        """Turn texts into a sparse matrix, N texts x features."""
        return side_by_side([part.transform(texts) for part in self.parts], count=len(texts))

    @property
    def size(self) -> int:
        """Count the features."""
        return sum(len(part.vocabulary_) for part in self.parts)


def side_by_side(blocks: Sequence[Any], *, count: int) -> Any:
    """Join sparse blocks of `count` rows to one sparse matrix; without blocks it has no columns."""
    return hstack(blocks, format="csr") if blocks else csr_array((count, 0))


def fit_vectorisers(texts: Sequence[str], wanted: Sequence[Features]) -> dict[Features, tuple[Vectoriser, Any]]:
    """Fit the vectoriser of each wanted set of features, and give it with the sparse rows of `texts`.

    What two sets share is fitted once. Term frequencies are sublinear (1 + log tf), since one text rarely repeats a
    word for a reason.
    """
    fitted: dict[str, tuple[TfidfVectorizer, Any]] = {}
    for kind in dict.fromkeys(kind for features in wanted for kind in features.split("+")):
        vectoriser = TfidfVectorizer(sublinear_tf=True, **_KINDS[kind])
        analyse = vectoriser.build_analyzer()
        if any(analyse(text) for text in texts):
            fitted[kind] = (vectoriser, vectoriser.fit_transform(texts))
    return {features: _together(fitted, features, count=len(texts)) for features in wanted}


def _together(
    fitted: dict[str, tuple[TfidfVectorizer, Any]], features: Features, *, count: int
) -> tuple[Vectoriser, Any]:
    """Return the vectoriser of a set of features and its rows, leaving out kinds that found nothing."""
    parts = [fitted[kind] for kind in features.split("+") if kind in fitted]
    return Vectoriser(tuple(part for part, _ in parts)), side_by_side([rows for _, rows in parts], count=count)
