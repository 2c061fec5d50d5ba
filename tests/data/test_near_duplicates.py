import random
import time

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform
from sklearn.feature_extraction.text import CountVectorizer

from llmtl.data.near_duplicates import canonical, clusters, neighbours_in


def random_texts(count: int, *, vocabulary: int, words: int, seed: int) -> list[str]:
    source = random.Random(seed)
    lexicon = ["".join(source.choices("abcdefgh", k=source.randint(2, 6))) for _ in range(vocabulary)]
    return [" ".join(source.choices(lexicon, k=words)) for _ in range(count)]


def reference_similarities(texts: list[str]) -> np.ndarray:
    """Return all Jaccard similarities, N x N, from scikit-learn's own n-grams and scipy's distance."""
    grams = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, lowercase=False)
    rows = grams.fit_transform([f" {canonical(text)} " for text in texts]).toarray()
    return 1 - squareform(pdist(rows.astype(bool), metric="jaccard"))


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 1.0])
def test_clusters_are_the_components_of_the_exact_similarity_graph(threshold):
    texts = random_texts(60, vocabulary=6, words=4, seed=1)
    expected = connected_components(reference_similarities(texts) >= threshold - 1e-9, directed=False)[1]
    found = clusters(texts, threshold)
    assert len(set(found.tolist())) < 60
    np.testing.assert_array_equal(found[:, None] == found, expected[:, None] == expected)


@pytest.mark.parametrize("threshold", [0.6, 0.8])
def test_neighbours_are_exact(threshold):
    texts = random_texts(60, vocabulary=6, words=4, seed=2)
    similar = reference_similarities(texts)[:40, 40:] >= threshold - 1e-9
    found = neighbours_in(texts[:40], texts[40:], threshold)
    assert [position is not None for position in found] == similar.any(axis=1).tolist()
    assert all(similar[row, position] for row, position in enumerate(found) if position is not None)
    assert 0 < sum(position is None for position in found) < 40


def test_an_equal_text_is_the_preferred_neighbour():
    assert neighbours_in(["Are you there today"], ["are you there today?", "are you  there TODAY"], 0.6) == [1]


def test_degenerate_input():
    assert clusters([], 0.8).tolist() == []
    assert len(set(clusters(["a", "A", "b", "!", "?"], 0.8).tolist())) == 4
    assert neighbours_in(["a"], [], 0.8) == [None]
    assert neighbours_in([], ["a"], 0.8) == []


def test_texts_of_one_template_do_not_need_all_pairs_compared():
    source = random.Random(3)
    shared = " ".join(random_texts(25, vocabulary=500, words=1, seed=4))
    texts = [f"{shared} {source.randint(0, 10**6)}" for _ in range(2_000)]
    start = time.process_time()
    found = clusters(texts, 0.8)
    assert time.process_time() - start < 10
    assert len(set(found.tolist())) == 1
