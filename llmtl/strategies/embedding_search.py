"""The `embedding-search` strategy: the texts whose vectors are nearest to the query's, by the encoder as it is.

Nearness is the cosine of sentence embeddings (Reimers & Gurevych 2019, "Sentence-BERT"); all of the corpus is compared,
without an approximate index. Nothing is learned. Not covered: tuning the encoder (`tuned_search`), prompts that differ
between queries and documents, re-ranking.
"""

from pathlib import Path

from llmtl.classical.found_texts import corpus_of
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import require
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, NoChoices, Predictor, Role, Runs, Strategy


class EmbeddingSearch(Strategy[NoChoices]):
    """There is nothing to choose."""

    facts = Facts(
        name="embedding-search",
        title="Search by sentence vectors",
        advice="Search by sentence vectors of {model}",
        role=Role.FEATURES,
        served=LocalServed,
        answers=frozenset({AnswerShape.RANKING}),
        runs=Runs.ENCODER,
        learns_from_train=False,
        made_with="sentence-transformers",
        is_made_by="a frozen sentence encoder, by which texts are compared",
        summary="The texts whose sentence embeddings are nearest to the query's (retrieval).",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` without sentence-transformers."""
        require("Embedding texts", "sentence_transformers")

    def fit(self, context: FitContext) -> Fitted:
        """Embed the corpus; raises `DataError` where there is none, and `ModelError` for what is not an encoder."""
        from llmtl.heads.sentence_head import load_encoder
        from llmtl.heads.vector_search import VectorIndex, VectorSearch

        corpus = corpus_of(context)
        encoder = load_encoder(context)
        with context.progress.stage(f"{self.name}: corpus", len(corpus)) as advance:
            index = VectorIndex.over(corpus, encoder, advance=advance)
        return Fitted(VectorSearch(index, lambda: encoder))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the vectors; the encoder follows with the first query."""
        from llmtl.heads.sentence_head import load_encoder
        from llmtl.heads.vector_search import VectorIndex, VectorSearch

        return VectorSearch(VectorIndex.read(folder), lambda: load_encoder(context))
