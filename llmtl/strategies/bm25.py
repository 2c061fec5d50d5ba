"""The `bm25` strategy: the texts that share the query's rare words.

What a search engine does out of the box, and what embeddings have to beat (Thakur et al. 2021, "BEIR",
https://arxiv.org/abs/2104.08663). Saturation and length normalisation are chosen on dev. Not covered: stemming.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from llmtl.classical.found_texts import corpus_facts, corpus_from, corpus_of, found, ranked
from llmtl.classical.grid import best_on_dev, dev_answers
from llmtl.kinds.kind import AnswerShape
from llmtl.progress import Advance, unwatched
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Prediction, Predictor, Role, Strategy
from llmtl.task import CorpusText, FoundText, Input, texts_of
from llmtl.values import RANKED

if TYPE_CHECKING:
    from llmtl.classical.word_index import WordIndex


class Bm25Config(BaseModel):
    """The choices of the `bm25` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    k1: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        default=(0.9, 1.2, 2.0),
        min_length=1,
        description="How much a repeated word adds: Anserini's default, Lucene's, and the upper end of what is usual.",
    )
    b: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(0.4, 0.75),
        min_length=1,
        description="How much long texts are marked down: the defaults of Anserini and of Lucene.",
    )


@dataclass(frozen=True)
class Bm25Predictor:
    """Searches `corpus` by its words; `choice` holds `k1` and `b`."""

    corpus: tuple[CorpusText, ...]
    index: "WordIndex"
    choice: Mapping[str, Any]

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Rank the corpus for each query."""
        return ranked(texts_of(inputs), self.corpus, self.index.scores, advance=advance)

    def search(self, texts: Sequence[str], *, top: int = RANKED) -> list[list[FoundText]]:
        """Find the `top` texts for each query, with their BM25 scores."""
        return found(self.corpus, self.index.scores(texts), top)

    def save(self, folder: Path) -> None:
        """Write the corpus, its words and their weights."""
        from llmtl.classical.files import rows_arrays, write_parts

        facts = {"choice": dict(self.choice), "words": list(self.index.words)}
        write_parts(folder, facts | corpus_facts(self.corpus), rows_arrays(self.index.weights))

    def served(self) -> LocalServed:
        """Say that our own server serves it."""
        return LocalServed()


class Bm25(Strategy[Bm25Config]):
    """Equal dev scores go to the smaller values."""

    section = Bm25Config
    facts = Facts(
        name="bm25",
        title="Keyword search (BM25)",
        advice="Search by keywords (BM25)",
        role=Role.BASELINE,
        served=LocalServed,
        answers=frozenset({AnswerShape.RANKING}),
        learns_from_train=False,
        usual_baseline=True,
        made_with="sklearn",
        summary="The texts that share the query's rare words: Okapi BM25 (retrieval).",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Count the words of the corpus, and keep the best of the grid on dev. Raises `DataError` without a corpus."""
        count = len(set(self.config.k1)) * len(set(self.config.b))
        best, trace = best_on_dev(self._points(context), context, name=self.name, count=count)
        return Fitted(best, (trace,))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load corpus, words and weights."""
        from llmtl.classical.files import read_arrays, read_facts, rows_from
        from llmtl.classical.word_index import WordIndex

        facts, arrays = read_facts(folder), read_arrays(folder)
        corpus, words = corpus_from(facts), tuple(map(str, facts["words"]))
        weights = rows_from(arrays, count=len(corpus), columns=len(words))
        return Bm25Predictor(corpus, WordIndex(words, weights), facts["choice"])

    def _points(self, context: FitContext) -> Iterator[tuple[Bm25Predictor, Mapping[str, Any], Sequence[str | None]]]:
        from llmtl.classical.word_index import WordIndex, count_words, weigh

        corpus = corpus_of(context)
        words, counts = count_words([document.text for document in corpus])
        for k1 in sorted(set(self.config.k1)):
            for b in sorted(set(self.config.b)):
                choice = {"k1": k1, "b": b}
                predictor = Bm25Predictor(corpus, WordIndex(words, weigh(counts, k1=k1, b=b)), choice)
                yield predictor, choice, dev_answers(predictor, context)
