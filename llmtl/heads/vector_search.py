"""Rank a corpus by the vectors of a sentence encoder: the cosine of each text's vector with the query's.

All of the corpus is compared, so that nothing is missed: 100,000 texts of 384 numbers are 150 MB and a matrix product.
Not covered: approximate indices, re-ranking.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from llmtl.answers import write_ranking
from llmtl.classical.files import keep_folder, read_arrays, read_facts, write_parts
from llmtl.classical.found_texts import best, corpus_facts, corpus_from, found, ranked
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.encoders.window_vectors import Vectors
from llmtl.progress import Advance, unwatched
from llmtl.strategy import LocalServed, Prediction
from llmtl.task import CorpusText, FoundText, Input, texts_of
from llmtl.values import RANKED


@dataclass(frozen=True)
class VectorIndex:
    """A corpus and the vectors of its texts, (D, width), each of length 1 (of a text without a token, 0)."""

    corpus: tuple[CorpusText, ...]
    vectors: Vectors

    @classmethod
    def over(cls, corpus: Sequence[CorpusText], encoder: SentenceEncoder, *, advance: Advance = unwatched) -> Self:
        """Embed a corpus."""
        return cls(tuple(corpus), unit_vectors(encoder, [text.text for text in corpus], advance=advance))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote; raises `RunError` where it is missing or damaged."""
        return cls(corpus_from(read_facts(folder)), read_arrays(folder)["vectors"])

    def write(self, folder: Path) -> None:
        """Write texts and vectors."""
        write_parts(folder, corpus_facts(self.corpus), {"vectors": self.vectors})

    def scores(self, queries: NDArray[Any]) -> Vectors:
        """Compare queries (N, width) with all texts: cosines, (N, D)."""
        return np.asarray(np.asarray(queries, np.float32) @ self.vectors.T)

    def ranking(self, query: NDArray[Any]) -> str:
        """Rank the corpus for the vector of one query, as a canonical answer."""
        [places] = best(self.scores(query[None]), RANKED)
        return write_ranking(self.corpus[place].id for place in places)


@dataclass(frozen=True)
class VectorSearch:
    """A predictor: an index, and the encoder that `load` gives; `tuned` is the folder of one that is kept with it."""

    index: VectorIndex
    load: Callable[[], SentenceEncoder]
    tuned: Path | None = None

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """Load the encoder when it is first needed."""
        return self.load()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Rank the corpus for each query."""
        return ranked(texts_of(inputs), self.index.corpus, self._scores, advance=advance)

    def search(self, texts: Sequence[str], *, top: int = RANKED) -> list[list[FoundText]]:
        """Find the `top` texts for each query, with their cosines."""
        return found(self.index.corpus, self._scores(texts), top)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Give the vectors by which texts are compared, (N, width), of length 1."""
        return unit_vectors(self.encoder, texts)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, special ones included."""
        return self.encoder.count_tokens(texts)

    def save(self, folder: Path) -> None:
        """Write the index, and the encoder if it was tuned."""
        self.index.write(folder)
        if self.tuned is not None:
            keep_folder(self.tuned, folder)

    def served(self) -> LocalServed:
        """Say that our own server serves it, vectors too; a fast tokenizer may be used by one thread at a time."""
        return LocalServed(needs_encoder=self.tuned is None, one_at_a_time=True, embeds=True)

    def _scores(self, texts: Sequence[str]) -> Vectors:
        return self.index.scores(self.embed(texts))


def unit_vectors(encoder: SentenceEncoder, texts: Sequence[str], *, advance: Advance = unwatched) -> Vectors:
    """Embed texts, (N, width), and bring each vector to length 1, so that a dot product is a cosine."""
    vectors = encoder.encode(texts, advance=advance)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
