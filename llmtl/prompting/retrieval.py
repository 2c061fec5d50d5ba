"""The training examples most similar to an input: by cosine of TF-IDF, or of embeddings.

Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE), retrieve by sentence embeddings; TF-IDF
needs no second model. Not covered: which is better for a task (`knn-few-shot` chooses on dev), diversity, re-ranking.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine
from llmtl.engines.transformers.embeddings import Embedder
from llmtl.errors import ModelError
from llmtl.progress import Progress, Silent
from llmtl.strategy import Retrieval, Retrieved
from llmtl.task import Example

if TYPE_CHECKING:
    from llmtl.encoders.sentence import SentenceEncoder

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], Floats]
"""From N texts to N vectors, (N, width)."""
_REMEMBERED = 1024
"""Inputs whose embeddings are kept."""


class Index(Protocol):
    """Examples that can be looked up by similarity."""

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Find the `count` examples most similar to `text`, most similar last."""


class Retriever:
    """An index of examples by TF-IDF; equally similar ones rank in the order given."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = tuple(examples)
        self._vectoriser = TfidfVectorizer(analyzer=_analyser(), sublinear_tf=True)
        self._rows = self._vectoriser.fit_transform([example.text for example in self._examples])

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Find the `count` examples most similar to `text`, most similar last.

        Last is nearest to where the answer starts, and recent demonstrations weigh most (KATE, section 3; Zhao et al.
        2021, "Calibrate Before Use").
        """
        return _last_nearest(
            self._examples, (self._rows @ self._vectoriser.transform([text]).T).toarray().ravel(), count
        )


class EmbeddingRetriever:
    """An index of examples by embeddings; equally similar ones rank in the order given.

    `vectors` are the examples' embeddings, (N, width), where they are known.
    """

    def __init__(self, examples: Sequence[Example], embed: Embed, *, vectors: Floats | None = None) -> None:
        self._examples = tuple(examples)
        self.vectors = embed([example.text for example in self._examples]) if vectors is None else vectors
        self._rows = _unit(self.vectors)
        # an input is looked up several times: to see how many examples fit, then for its prompt
        self._query = lru_cache(maxsize=_REMEMBERED)(lambda text: _unit(embed([text]))[0])

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Find the `count` examples most similar to `text`, most similar last."""
        return _last_nearest(self._examples, self._rows @ self._query(text), count)


def build_index(
    found: Retrieved, engine: Engine, *, vectors: Floats | None = None, progress: Progress | None = None
) -> Index:
    """Build the index of a pool, whose embeddings are `vectors` where they are known.

    Raises `ModelError` for an engine that cannot embed or an encoder that cannot be loaded, and `MissingPackageError`
    without `sentence-transformers`.
    """
    if found.by is Retrieval.TFIDF:
        return Retriever(found.pool)
    if found.by is Retrieval.SENTENCES:
        encoder, texts = load_encoder(found), [example.text for example in found.pool]
        if vectors is None:
            with (progress or Silent()).stage("embedding the training examples", len(texts)) as advance:
                vectors = encoder.encode(texts, advance=advance).astype(np.float64)
        return EmbeddingRetriever(found.pool, sentence_embed(encoder), vectors=vectors)
    if not isinstance(engine, Embedder):
        raise ModelError(
            f"The engine '{engine.name}' gives no embeddings; set the strategy's 'retrieval' to "
            f"'{Retrieval.TFIDF}' or '{Retrieval.SENTENCES}'."
        )
    return EmbeddingRetriever(found.pool, engine.embed, vectors=vectors)


def load_encoder(found: Retrieved) -> "SentenceEncoder":
    """Load the encoder that a pool is embedded with, on the CPU, where a server embeds messages, too."""
    from llmtl.encoders.sentence import SentenceEncoder

    return SentenceEncoder.shared(EncoderSource(found.sentence_model, found.revision), "cpu")


def sentence_embed(encoder: "SentenceEncoder") -> Embed:
    """Make the embedding of an encoder, in double precision."""
    return lambda texts: encoder.encode(texts).astype(np.float64)


def _unit(rows: Floats) -> Floats:
    """Return rows of length 1; zeros stay zeros."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = rows / np.where(lengths > 0, lengths, 1.0)
    return scaled


def _last_nearest(examples: Sequence[Example], similarity: Floats, count: int) -> tuple[Example, ...]:
    """Return the `count` examples of the highest similarity, the highest last."""
    ranked = np.argsort(-similarity, kind="stable")[:count]
    return tuple(examples[position] for position in reversed(ranked.tolist()))


def _analyser() -> Callable[[str], list[str]]:
    """Return a function from text to word 1-2-grams and character 2-4-grams within words."""
    words = CountVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b").build_analyzer()
    pieces = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4)).build_analyzer()

    def analyse(text: str) -> list[str]:
        return [f"word {term}" for term in words(text)] + [f"char {term}" for term in pieces(text)]

    return analyse
