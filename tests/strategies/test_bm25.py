"""BM25 as a strategy: what it finds, what dev chooses, what it refuses."""

from dataclasses import replace

import pytest

from llmtl.answers import read_ranking, write_ranking
from llmtl.errors import DataError
from llmtl.findings import GridTrace, finding
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.strategies.bm25 import Bm25, Bm25Config
from llmtl.task import CorpusText, Example, Metric, Task

TEXTS = ("how to get a refund", "track a parcel on its way", "reset the password of a login", "order a new card")
CORPUS = tuple(CorpusText(f"d{number}", text) for number, text in enumerate(TEXTS))
TASK = Task("faq", (), metric=Metric.NDCG_10, kind=RETRIEVAL)


@pytest.fixture
def context(make_plain_context):
    dev = (Example("1", "my parcel", write_ranking(["d1"])), Example("2", "new password", write_ranking(["d2"])))
    return make_plain_context(task=TASK, train=(), dev=dev, corpus=CORPUS)


def test_it_ranks_the_texts_that_share_words_first(context):
    fitted = Bm25(Bm25Config(k1=(1.2,), b=(0.75,))).fit(context)
    [answer, nothing] = fitted.predictor.predict(["the password, please", "xyz"])
    assert read_ranking(answer.answer)[0] == "d2"
    assert read_ranking(nothing.answer) == ("d0", "d1", "d2", "d3")  # equals go by their place
    [[first, second]] = fitted.predictor.search(["card"], top=2)
    assert (first.id, first.text) == ("d3", TEXTS[3])
    assert first.score > second.score == 0


def test_dev_chooses_saturation_and_normalisation(context):
    fitted = Bm25(Bm25Config(k1=(2.0, 0.9), b=(0.75, 0.4))).fit(context)
    trace = finding(fitted.findings, GridTrace)
    assert len(trace.points) == 4
    assert trace.choice == {"k1": 0.9, "b": 0.4}  # all are equal here
    assert set(trace.points[0].scores) == {"ndcg@10", "recall@10", "mrr@10"}


def test_without_a_corpus_there_is_nothing_to_search(context):
    with pytest.raises(DataError, match=r"no corpus to search; set data.corpus"):
        Bm25().fit(replace(context, corpus=()))
