"""Extraction by a language model, exported and served by real vLLM."""

import json

import pytest
from kind_checks import assert_answers_as_measured, assert_streams_as_it_answers, chat_of
from kind_runs import make_kind_run
from live_bundle import KEY, client_of, live_server

from llmtl.pipeline.export import export
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.client import Endpoint
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of

pytestmark = pytest.mark.slow
TASK = "table-booking"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    run = make_kind_run(tmp_path_factory.mktemp("run"), "extraction", strategies=("majority", "zero-shot", "few-shot"))
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy="few-shot")


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    with live_server(folder, tmp_path_factory.mktemp("server") / "log.txt") as url:
        yield url


@pytest.fixture
def http(url):
    with client_of(url) as client:
        yield client


def test_both_routes_answer_as_measured(folder, http):
    assert any(row.prediction != "[]" for row in read_recorded(folder))
    assert_answers_as_measured(folder, lambda path, body: http.post(path, json=body))


def test_the_parity_gate_passes(folder, url):
    parity = check_parity(Endpoint(url, TASK, KEY), read_recorded(folder), reading_of(open_bundle(folder), folder))
    assert (parity.passed, parity.agreed) == (True, parity.compared)


def test_a_stream_says_the_same(folder, http):
    text = read_recorded(folder)[0].text
    assert_streams_as_it_answers(TASK, text, lambda path, body: http.post(path, json=body))


def test_the_written_form_is_that_of_the_measurement(http):
    text = 'Do you have "nuts" for Zo\u00eb \U0001f600 at 6 pm?'
    for model in (TASK, f"{TASK}/zero-shot"):
        said = http.post("/v1/chat/completions", json=chat_of(model, text)).json()["choices"][0]["message"]["content"]
        rows = json.loads(said)
        assert said.replace("\\", "") == json.dumps(rows, ensure_ascii=False).replace("\\", "")
        assert all(set(row) == {"type", "text"} for row in rows)


def test_stock_requests_are_held_to_the_schema(folder, http):
    answer = http.post("/v1/chat/completions", json=json.loads((folder / "request.json").read_text()))
    assert answer.status_code == 200, answer.text
    assert isinstance(json.loads(answer.json()["choices"][0]["message"]["content"]), list)


def test_what_is_too_long_is_refused_with_its_place(http):
    answer = http.post("/v1/predict", json={"inputs": ["x", "card " * 2_100]})
    assert answer.status_code == 400
    assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (
        "inputs[1]",
        "context_length_exceeded",
    )
