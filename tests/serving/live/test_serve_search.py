"""A search that is measured, exported and served: vectors for OpenAI's client, rankings, the parity gate."""

import asyncio
import contextlib
import threading
import time
from dataclasses import replace

import httpx
import numpy as np
import openai
import pytest
import uvicorn
from sklearn.metrics import ndcg_score

import llmtl
from llmtl.answers import read_ranking
from llmtl.errors import BundleError
from llmtl.heads.vector_search import VectorIndex
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.proof.target import LiveEndpoint
from llmtl.serving.task_api.classifier_app import create_app
from tests.support.kind_checks import assert_answers_as_measured
from tests.support.live_bundle import free_port

pytestmark = pytest.mark.slow
QUERIES = ["I want my money back", "the parcel is late"]


@pytest.fixture(scope="module")
def bundle(search_run):
    return llmtl.export(search_run, strategy="embedding-search")


@pytest.fixture(scope="module")
def url(bundle):
    config = uvicorn.Config(create_app(bundle, environment={}), port=free_port(), log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while thread.is_alive() and not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{config.port}"
    server.should_exit = True
    thread.join()


def test_the_run_decides_by_queries_and_its_scores_are_those_of_scikit_learn(search_run):
    tests = {each.strategy: each for each in search_run.evaluations if each.split == "test"}
    assert search_run.decision.winner == "embedding-search"
    [found] = [each for each in search_run.decision.comparisons if {each.a, each.b} == {"embedding-search", "bm25"}]
    assert found.difference > 0.1
    pages = [str(number) for number in range(1, 9)]  # fewer than ten: a search ranks them all
    for each in (tests["bm25"], tests["embedding-search"]):
        truth = np.array([[id_ in read_ranking(reference) for id_ in pages] for reference in each.references])
        ranks = np.array([[-read_ranking(answer).index(id_) for id_ in pages] for answer in each.answers])
        assert each.scores["ndcg@10"].value == pytest.approx(ndcg_score(truth, ranks, k=10))
    page = search_run.report.read_text(encoding="utf-8")
    assert "nDCG@10" in page
    assert "how high the relevant texts stand among the first ten" in page


def test_openai_s_client_gets_the_vectors_that_were_measured(search_run, bundle, url):
    measured = search_run.predictor("embedding-search").embed(QUERIES)
    with contextlib.closing(openai.OpenAI(base_url=f"{url}/v1", api_key="none")) as client:
        plain = client.embeddings.create(model="help", input=QUERIES, encoding_format="float")
        packed = client.embeddings.create(model="help", input=QUERIES)  # the client asks for base64
        single = client.embeddings.create(model="help", input=QUERIES[0], dimensions=384)
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.embeddings.create(model="other", input="x")
        with pytest.raises(openai.BadRequestError, match="have 384 numbers, not 64"):
            client.embeddings.create(model="help", input="x", dimensions=64)
        with pytest.raises(openai.BadRequestError, match="token ids are not taken"):
            client.embeddings.create(model="help", input=[1, 2])
        with pytest.raises(openai.BadRequestError, match="empty"):
            client.embeddings.create(model="help", input=["x", " "])
    for answer in (plain, packed):
        assert [row.index for row in answer.data] == [0, 1]
        assert np.array([row.embedding for row in answer.data]) == pytest.approx(measured, abs=1e-6)
    assert single.data[0].embedding == pytest.approx(measured[0], abs=1e-6)
    assert np.linalg.norm(measured, axis=1) == pytest.approx([1, 1], abs=1e-6)
    tokens = search_run.predictor("embedding-search").encoder.model.tokenizer
    for answer, texts in ((plain, QUERIES), (packed, QUERIES), (single, QUERIES[:1])):
        read = sum(len(row) for row in tokens(texts)["input_ids"])
        assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (read, read)
    assert plain.usage.prompt_tokens > single.usage.prompt_tokens > 2
    told = httpx.get(f"{url}/v1/task").json()
    assert (told["embeddings"], told["output"], told["kind"]) == ("/v1/embeddings", "json", "retrieval")


def test_what_is_served_is_what_was_measured(bundle, url):
    reading, recorded = reading_of(open_bundle(bundle), bundle), read_recorded(bundle)
    parity = check_parity(LiveEndpoint(url, "help"), recorded, reading)
    assert parity.passed
    assert parity.agreed == parity.compared == len(recorded)
    index = VectorIndex.read(bundle / "classifier")
    turned = replace(index, vectors=-index.vectors)
    wrong = replace(reading, vector=lambda vector: turned.ranking(np.array(vector, np.float32)))
    assert not check_parity(LiveEndpoint(url, "help"), recorded[:5], wrong).passed  # the vectors are looked at

    assert_answers_as_measured(bundle, lambda path, body: httpx.post(f"{url}{path}", json=body))


def test_what_gives_no_vectors_has_no_such_route(search_run, tmp_path):
    app = create_app(llmtl.export(search_run, tmp_path / "words", strategy="bm25"), environment={})

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return await client.post("/v1/embeddings", json={"model": "help", "input": "x"})

    assert asyncio.run(ask()).status_code == 404


def test_a_run_and_a_bundle_are_searched_in_one_call(search_run, bundle):
    for place in (search_run, search_run.folder, bundle):
        [first, second] = llmtl.search(place, QUERIES, top=2)
        assert [found.text for found in (first[0], second[0])] == [
            "Refunds: how to get your money back for an order",
            "Tracking a parcel: where your delivery is now",
        ]
        assert first[0].score > first[1].score
    [by_words] = llmtl.search(search_run, ["password"], strategy="bm25", top=1)
    assert by_words[0].text == "Resetting your password when you cannot sign in"
    with pytest.raises(BundleError, match="'majority' does not search"):
        llmtl.search(search_run, ["x"], strategy="majority")
