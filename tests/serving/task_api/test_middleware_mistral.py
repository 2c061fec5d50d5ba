"""The task middleware in real vLLM processes with pocket-mistral: a retrieving winner, adapter, merged checkpoint."""

import pytest

from tests.support.live_bundle import client_of, error_of, live_server
from tests.support.live_checks import assert_chats_as_measured, assert_predicts_as_measured, chat, user

pytestmark = pytest.mark.slow
TASK, BASE = "front-desk", "pocket-mistral"
MODELS = {
    "knn-few-shot": TASK,
    "few-shot": f"{TASK}/few-shot",
    "zero-shot": f"{TASK}/zero-shot",
    "qlora": f"{TASK}/qlora",
}


@pytest.fixture(scope="module")
def http(mistral_run, bundle_of, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with live_server(bundle_of(mistral_run, "knn-few-shot"), log) as url, client_of(url) as client:
        yield client


@pytest.mark.parametrize("strategy", MODELS)
def test_predictions_are_the_measured_ones(http, mistral_run, strategy):
    assert_predicts_as_measured(http, mistral_run, strategy, MODELS[strategy])


@pytest.mark.parametrize("strategy", MODELS)
def test_chats_are_answered_with_the_measured_label(http, mistral_run, strategy):
    assert_chats_as_measured(http, mistral_run, strategy, MODELS[strategy])


def test_the_base_model_answers_under_its_own_name(http):
    answer = chat(http, BASE, "my card", return_prompt_text=True, max_tokens=3)
    assert (answer["model"], "Labels:" in answer["prompt_text"]) == (BASE, False)
    plain = http.post("/v1/completions", json={"model": BASE, "prompt": "my", "max_tokens": 1}).json()
    assert plain["model"] == BASE
    with http.stream(
        "POST", "/v1/chat/completions", json={"model": BASE, "messages": user("x"), "stream": True, "max_tokens": 2}
    ) as stream:
        events = [line for line in stream.iter_lines() if line.startswith("data: {")]
    assert events
    assert all(f'"model":"{BASE}"' in event for event in events)


def test_a_merged_checkpoint(mistral_run, bundle_of, tmp_path):
    folder = bundle_of(mistral_run, "qlora", merge=True)
    with live_server(folder, tmp_path / "log.txt") as url, client_of(url) as client:
        assert_predicts_as_measured(client, mistral_run, "qlora", TASK)
        assert_chats_as_measured(client, mistral_run, "qlora", TASK)
        listed = [model["id"] for model in client.get("/v1/models").json()["data"]]
        assert listed == [TASK, f"{TASK}/majority", f"{TASK}/tfidf"]
        task = client.get("/v1/task").json()
        assert (task["base_model"], [each["weights"] for each in task["strategies"]]) == (
            None,
            ["merged", "classifier", "classifier"],
        )
        error_of(client.post("/v1/chat/completions", json={"model": BASE, "messages": user("x")}), 404)
