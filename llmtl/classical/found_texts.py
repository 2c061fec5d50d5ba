"""Texts of a corpus that were found for a query: what a searching predictor offers, and rankings as predictions.

Not covered: scoring texts against a query (`llmtl.classical.word_index`, `llmtl.encoders`).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from llmtl.answers import write_ranking
from llmtl.errors import DataError
from llmtl.progress import Advance
from llmtl.strategy import FitContext, Prediction
from llmtl.task import CorpusText, FoundText
from llmtl.values import RANKED

Floats = NDArray[Any]
BLOCK = 256
"""Queries scored at once: bounds the memory of their scores against all of the corpus."""


@runtime_checkable
class Searcher(Protocol):
    """A predictor that can say what it finds, with the texts and their scores."""

    def search(self, texts: Sequence[str], *, top: int = ...) -> list[list[FoundText]]:
        """Find the `top` texts for each query, the best first."""


@runtime_checkable
class GivesVectors(Protocol):
    """A predictor that can give the vectors by which it compares texts."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give a vector of length 1 for each text, shape (N, width); near texts have a large dot product."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens that are read of each text."""


@runtime_checkable
class SearchesByVectors(Searcher, GivesVectors, Protocol):
    """A predictor that finds texts by vectors, and gives them."""


def corpus_of(context: FitContext) -> tuple[CorpusText, ...]:
    """Take the corpus; raises `DataError` when it is empty."""
    if not context.corpus:
        raise DataError("There is no corpus to search; set data.corpus, or give the texts that are relevant.")
    return context.corpus


def best(scores: Floats, top: int) -> list[list[int]]:
    """Give the places of the `top` highest scores in each row (N, D), the highest first; equals go by their place."""
    order: list[list[int]] = np.argsort(-scores, axis=1, kind="stable")[:, :top].tolist()
    return order


def found(corpus: Sequence[CorpusText], scores: Floats, top: int) -> list[list[FoundText]]:
    """Name what was found by scores of N queries against all D texts, shape (N, D)."""
    return [
        [FoundText(corpus[place].id, corpus[place].text, float(row[place])) for place in places]
        for row, places in zip(scores, best(scores, top), strict=True)
    ]


def ranked(
    texts: Sequence[str],
    corpus: Sequence[CorpusText],
    score: Callable[[Sequence[str]], Floats],
    *,
    advance: Advance,
) -> list[Prediction]:
    """Rank the corpus for each query; `score` gives the scores of a block of queries against all of it."""
    results: list[Prediction] = []
    for start in range(0, len(texts), BLOCK):
        begun = perf_counter()
        block = texts[start : start + BLOCK]
        places = best(score(block), RANKED)
        each = (perf_counter() - begun) / len(block)
        results += [
            Prediction(str(start + row), write_ranking(corpus[place].id for place in found), seconds=each)
            for row, found in enumerate(places)
        ]
        advance(len(block))
    return results


def corpus_facts(corpus: Sequence[CorpusText]) -> dict[str, Any]:
    """Describe a corpus as JSON values."""
    return {"corpus": [asdict(document) for document in corpus]}


def corpus_from(facts: Any) -> tuple[CorpusText, ...]:
    """Read a corpus back; raises `KeyError` or `TypeError` for damaged facts."""
    return tuple(CorpusText(**row) for row in facts["corpus"])
