"""Metrics of rankings against scikit-learn, sentence-transformers and values worked out by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from llmtl.answers import write_ranking
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.task import Metric

NDCG, RECALL, MRR = RETRIEVAL.metrics
DOCS = 40


def value(metric, relevant, ranking, others=()):
    return RETRIEVAL.measure(metric, [write_ranking(relevant)], alternatives=[others]).score([write_ranking(ranking)])


@pytest.mark.parametrize("seed", range(8))
def test_ndcg_is_that_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    for relevant in (1, 3, 10, 25):
        truth = np.zeros(DOCS)
        truth[rng.choice(DOCS, relevant, replace=False)] = 1
        scores = rng.permutation(DOCS).astype(float)
        ranking = np.argsort(-scores)[:10]
        expected = ndcg_score([truth], [scores], k=10)
        assert value(NDCG, map(str, np.flatnonzero(truth)), map(str, ranking)) == pytest.approx(expected)


def test_values_worked_out_by_hand():
    ranking = ["x", "a", "y", "b"]
    assert value(NDCG, ["a", "b", "c"], ranking) == pytest.approx(
        (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2)
    )
    assert value(RECALL, ["a", "b", "c"], ranking) == pytest.approx(2 / 3)
    assert value(MRR, ["a", "b", "c"], ranking) == pytest.approx(1 / 2)
    assert [value(metric, ["z"], ranking) for metric in RETRIEVAL.metrics] == [0, 0, 0]


def test_recall_of_more_than_ten_relevant_texts_stays_below_one():
    ids = [str(number) for number in range(16)]
    assert value(RECALL, ids, ids) == 10 / 16
    assert value(NDCG, ids, ids) == pytest.approx(1)


def test_only_the_first_ten_count_and_a_repeated_id_counts_once():
    late = [str(number) for number in range(10)] + ["a"]
    assert [value(metric, ["a"], late) for metric in RETRIEVAL.metrics] == [0, 0, 0]
    # a ranking is written with each id once; a file from elsewhere may repeat one
    repeated = RETRIEVAL.measure(NDCG, ['["a", "b"]'])
    assert repeated.each(['["a", "a"]']) == repeated.each(['["a"]'])


def test_further_references_of_a_query_add_to_what_is_relevant():
    assert value(RECALL, ["a"], ["a", "b"], others=['["b"]', '["c"]']) == pytest.approx(2 / 3)


def test_a_score_has_an_interval_by_the_bootstrap_over_queries():
    references = ['["a"]'] * 40
    answers = ['["a"]'] * 30 + ['["x", "a"]'] * 10
    found = RETRIEVAL.score(references, answers)
    assert list(found) == ["ndcg@10", "recall@10", "mrr@10"]
    assert found["mrr@10"].value == pytest.approx(0.875)
    assert found["mrr@10"].low < 0.875 < found["mrr@10"].high
    assert found[Metric.RECALL_10].value == 1
