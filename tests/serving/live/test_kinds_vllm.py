"""The kinds of task beside classification, exported and served by real vLLM: every strategy that a model can run.

What merging changes is the same for every kind: `test_middleware_mistral` starts vLLM on a merged checkpoint.
"""

import json
import re

import pytest

from llmtl.pipeline.export import export
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.proof.target import LiveEndpoint
from tests.support.kind_checks import (
    assert_abstains_as_measured,
    assert_answers_as_measured,
    assert_strategy_answers_as_measured,
    assert_streams_as_it_answers,
    chat_of,
    promised,
)
from tests.support.live_bundle import KEY, client_of, live_server

pytestmark = pytest.mark.slow
TASK = "table-booking"


@pytest.fixture(scope="module")
def run(kind_run):
    return kind_run("extraction")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export(promised(run), tmp_path_factory.mktemp("bundle") / "bundle", strategy="few-shot")


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


@pytest.mark.parametrize("strategy", ["zero-shot", "many-shot", "knn-few-shot", "qlora"])
def test_the_other_strategies_answer_as_measured_too(run, folder, http, strategy):
    assert_strategy_answers_as_measured(run, folder, strategy, lambda path, body: http.post(path, json=body))


def test_the_parity_gate_passes(folder, url):
    assert assert_passes(folder, url).abstentions_differ == 0


def test_both_routes_leave_to_a_person_what_the_measurement_did(folder, http):
    assert_abstains_as_measured(folder, lambda path, body: http.post(path, json=body))


def assert_passes(folder, url):
    bundle = open_bundle(folder)
    endpoint = LiveEndpoint(url, bundle.winner.model, KEY)
    parity = check_parity(endpoint, read_recorded(folder), reading_of(bundle, folder))
    assert (parity.passed, parity.agreed) == (True, parity.compared)
    return parity


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


def test_label_sets_by_a_tuned_mistral(kind_run, tmp_path):
    label_sets = kind_run("multi-label")
    bundle = export(label_sets, tmp_path / "bundle", strategy="qlora")
    with live_server(bundle, tmp_path / "log.txt") as url, client_of(url) as client:
        assert_passes(bundle, url)
        assert len({row.prediction for row in read_recorded(bundle)}) > 1
        for strategy in ("many-shot", "knn-few-shot"):
            assert_strategy_answers_as_measured(
                label_sets, bundle, strategy, lambda path, body: client.post(path, json=body)
            )


def test_merged_spans(run, tmp_path):
    assert_merges(run, tmp_path / "merged")


def assert_merges(made, folder):
    """Export merged; that fails where the checkpoint, run by transformers, answers otherwise than was measured."""
    export(made, folder, strategy="qlora", merge=True)
    assert {str(each.weights) for each in open_bundle(folder).others} == {"classifier"}  # the baselines alone
    assert len({row.prediction for row in read_recorded(folder)}) > 1
    compared = re.search(r"compared with the adapter on (\d+) test inputs: 0 ", (folder / "README.md").read_text())
    assert int(compared.group(1)) > 1


def test_texts_by_preferences_and_by_retrieved_demonstrations(kind_run, tmp_path):
    written = kind_run("generation")
    bundle = export(written, tmp_path / "bundle", strategy="dpo")
    with live_server(bundle, tmp_path / "log.txt") as url, client_of(url) as client:
        assert_passes(bundle, url)
        assert len({row.prediction for row in read_recorded(bundle)}) > 1
        for strategy in ("many-shot", "knn-few-shot"):
            assert_strategy_answers_as_measured(
                written, bundle, strategy, lambda path, body: client.post(path, json=body)
            )
    assert_merges(written, tmp_path / "merged")
