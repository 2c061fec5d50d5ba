"""The training examples most similar to an input, by cosine of TF-IDF.

Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE), retrieve by sentence embeddings; TF-IDF
needs no second model. Not covered: dense retrieval, diversity.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from llmtl.task import Example


class Retriever:
    """An index of examples; equally similar ones rank in the order given."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = tuple(examples)
        self._vectoriser = TfidfVectorizer(analyzer=_analyser(), sublinear_tf=True)
        self._rows = self._vectoriser.fit_transform([example.text for example in self._examples])

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Return the `count` examples most similar to `text`, most similar last.

        Last is nearest to where the answer starts, and recent demonstrations weigh most (KATE, section 3; Zhao et al.
        2021, "Calibrate Before Use").
        """
        similarity = (self._rows @ self._vectoriser.transform([text]).T).toarray().ravel()
        ranked = np.argsort(-similarity, kind="stable")[:count]
        return tuple(self._examples[position] for position in reversed(ranked.tolist()))


def _analyser() -> Callable[[str], list[str]]:
    """Return a function from text to word 1-2-grams and character 2-4-grams within words."""
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b").build_analyzer()
    pieces = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()

    def analyse(text: str) -> list[str]:
        return [f"word {term}" for term in words(text)] + [f"char {term}" for term in pieces(text)]

    return analyse
