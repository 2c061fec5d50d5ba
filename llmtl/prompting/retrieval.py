"""The training examples most similar to an input: by cosine of TF-IDF, or of embeddings.

Liu et al. (2022), "What Makes Good In-Context Examples for GPT-3?" (KATE), retrieve by sentence embeddings; TF-IDF, the
default, needs no second model. Not covered: diversity, re-ranking.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from llmtl.engines.protocol import Engine
from llmtl.engines.transformers.embeddings import Embedder
from llmtl.errors import ModelError
from llmtl.packages import missing
from llmtl.strategy import Retrieval
from llmtl.task import Example

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], Floats]
"""From N texts to N vectors, (N, width)."""


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
        self._embed = embed
        self._rows = _unit(embed([example.text for example in self._examples]) if vectors is None else vectors)

    def nearest(self, text: str, count: int) -> tuple[Example, ...]:
        """Find the `count` examples most similar to `text`, most similar last."""
        return _last_nearest(self._examples, self._rows @ _unit(self._embed([text]))[0], count)


def build_index(examples: Sequence[Example], by: Retrieval, engine: Engine, *, sentence_model: str) -> Index:
    """Build the index that the recipe asks for.

    Raises `ModelError` for an engine that cannot embed or a sentence model that cannot be loaded, and
    `MissingPackageError` without `sentence-transformers`.
    """
    if by is Retrieval.TFIDF:
        return Retriever(examples)
    if by is Retrieval.SENTENCES:
        return EmbeddingRetriever(examples, sentence_embed(sentence_model))
    if not isinstance(engine, Embedder):
        raise ModelError(
            f"The engine '{engine.name}' gives no embeddings; set the strategy's 'retrieval' to "
            f"'{Retrieval.TFIDF}' or '{Retrieval.SENTENCES}'."
        )
    return EmbeddingRetriever(examples, engine.embed)


def sentence_embed(name: str, *, device: str | None = None) -> Embed:
    """Make the embedding of a `sentence-transformers` model; raises as `load_sentence_model` does."""
    return partial(_encode_sentences, load_sentence_model(name, device=device))


def load_sentence_model(name: str, *, device: str | None = None) -> Any:
    """Load a `SentenceTransformer`, a Hub name or a folder, on `device` (None for the GPU if there is one).

    Raises `ModelError` when it cannot be loaded, and `MissingPackageError` without `sentence-transformers`.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise missing("Retrieving by sentence embeddings", "sentence_transformers") from error
    try:
        return SentenceTransformer(name, trust_remote_code=False, device=device)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The sentence model '{name}' cannot be loaded; check the strategy's 'sentence_model'."
        ) from error


def _encode_sentences(model: Any, texts: Sequence[str]) -> Floats:
    """Return the vectors of texts by a sentence model."""
    vectors: Floats = model.encode(list(texts), show_progress_bar=False, convert_to_numpy=True).astype(np.float64)
    return vectors


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
