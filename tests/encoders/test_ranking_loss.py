"""What a search is tuned on, against sentence-transformers: the loss without repeats, and the mined negatives."""

import numpy as np
import pytest
import torch

from llmtl.encoders.contrastive import Mining, TuningRow, mine, query_columns, ranking_loss


class Lookup(torch.nn.Module):
    """A model whose features are vectors."""

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


def features(*parts):
    return [{"vectors": part} for part in parts]


def reference(queries, texts, left_out=()):
    """Cross-entropy by plain NumPy; `left_out` are the (query, text) that are not candidates."""
    queries, texts = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (queries, texts))
    scores = 20 * queries @ texts.T
    for pair in left_out:
        scores[pair] = -np.inf
    return float(np.mean([np.log(np.exp(row).sum()) - row[at] for at, row in enumerate(scores)]))


def vectors(seed, rows):
    return np.random.default_rng(seed).normal(size=(rows, 8))


def loss_of(rows, relevant, itself, *, negatives):
    queries, texts = vectors(1, len(rows)), vectors(2, len(rows) * (1 + negatives))
    parts = [torch.tensor(part) for part in (queries, *np.split(texts, 1 + negatives))]
    loss = ranking_loss(rows, relevant, itself, negatives=negatives)(Lookup())
    return queries, texts, loss(features(*parts), torch.arange(len(rows))).item(), parts


def test_without_repeats_it_is_the_loss_of_sentence_transformers():
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rows = [TuningRow(at, at, (4 + at,)) for at in range(4)]
    relevant, itself = [frozenset({at}) for at in range(4)], [None] * 4
    queries, texts, found, parts = loss_of(rows, relevant, itself, negatives=1)
    theirs = MultipleNegativesRankingLoss(None).compute_loss_from_embeddings(parts, torch.arange(4))
    assert found == pytest.approx(theirs.item(), rel=1e-6)
    assert found == pytest.approx(reference(queries, texts), rel=1e-6)


def test_texts_that_are_relevant_to_a_query_are_no_negatives_of_it_wherever_they_stand_in_the_batch():
    # queries 0 and 1 are of one class, whose texts are 0, 1 and 5; query 2 stands in the corpus as text 1
    rows = [TuningRow(0, 0, (3,)), TuningRow(1, 1, (4,)), TuningRow(2, 2, (5,)), TuningRow(0, 1, ())]
    relevant = [frozenset({0, 1, 5}), frozenset({0, 1, 5}), frozenset({2})]
    itself = [None, None, 1]
    queries, texts, found, _ = loss_of(rows, relevant, itself, negatives=1)
    candidates = [0, 1, 2, 1, 3, 4, 5, 1]  # positives, then negatives; a row without one repeats its positive
    own = [0, 1, 2, 3]
    out = [
        (at, column)
        for at, row in enumerate(rows)
        for column, text in enumerate(candidates)
        if column != own[at] and (text in relevant[row.query] or text == itself[row.query])
    ]
    assert found == pytest.approx(reference(queries, texts, out), rel=1e-6)
    assert found < reference(queries, texts)


def test_mined_negatives_are_those_of_sentence_transformers():
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    rng = np.random.default_rng(3)
    queries, corpus = (
        part / np.linalg.norm(part, axis=1, keepdims=True)
        for part in (rng.normal(size=(6, 4)), rng.normal(size=(40, 4)))
    )
    queries, corpus = queries.astype(np.float32), corpus.astype(np.float32)
    nearest = np.argsort(-(corpus @ queries.T), axis=0)[:6].T
    relevant = [frozenset({int(row[3])}) for row in nearest]
    rows = mine(queries, corpus, relevant, [None] * 6, Mining(2, 20, 0.05), pairs_per_query=9, seed=0)

    class Table:
        """Knows the vector of each text."""

        device, prompts, default_prompt_name = "cpu", {}, None

        def encode_query(self, texts, **_):
            return torch.tensor(np.stack([queries[int(text[1:])] for text in texts]))

        def encode_document(self, texts, **_):
            return torch.tensor(np.stack([corpus[int(text[1:])] for text in texts]))

        def similarity(self, some, others):
            return some @ others.T

        def similarity_pairwise(self, some, others):
            return (some * others).sum(dim=1)

    pairs = [(number, place) for number, right in enumerate(relevant) for place in sorted(right)]
    data = Dataset.from_dict({"q": [f"q{number}" for number, _ in pairs], "a": [f"d{place}" for _, place in pairs]})
    theirs = mine_hard_negatives(
        data,
        Table(),
        corpus=[f"d{place}" for place in range(40)],
        range_max=20,
        num_negatives=2,
        relative_margin=0.05,
        sampling_strategy="top",
        output_format="n-tuple",
        verbose=False,
    )
    expected = {(row["q"], row["a"]): [row["negative_1"], row["negative_2"]] for row in theirs}
    found = {(f"q{r.query}", f"d{r.positive}"): [f"d{at}" for at in r.negatives] for r in rows if len(r.negatives) == 2}
    assert found == expected
    assert len(expected) == 6


def test_rows_respect_margin_relevance_and_the_query_itself():
    queries = np.array([[1, 0], [0, 1]], np.float32)
    corpus = np.array([[1, 0], [0.96, 0.28], [0.8, 0.6], [0, 1]], np.float32)
    rows = mine(
        queries, corpus, [frozenset({1}), frozenset({3})], [0, None], Mining(3, 50, 0.05), pairs_per_query=4, seed=1
    )
    by_query = {row.query: row for row in rows}
    assert by_query[0] == TuningRow(0, 1, (2, 3))  # not 0, which is the query itself
    assert by_query[1] == TuningRow(1, 3, (2, 1, 0))
    tight = mine(
        queries, corpus, [frozenset({1}), frozenset({3})], [0, None], Mining(3, 50, 0.3), pairs_per_query=4, seed=1
    )
    assert {row.query: row.negatives for row in tight} == {0: (3,), 1: (2, 1, 0)}  # 0.8 is more than 0.7 * 0.96
    table = query_columns([by_query[0]], ["q0", "q1"], ["a", "b", "c", "d"], negatives=3)
    assert table == {
        "anchor": ["q0"],
        "positive": ["b"],
        "negative_1": ["c"],
        "negative_2": ["d"],
        "negative_3": ["b"],
        "label": [0],
    }
