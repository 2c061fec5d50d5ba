"""Winners that are no language model, served by a real process, asked by the `openai` package and by plain HTTP."""

import json
import math
import subprocess
import sys

import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from llmtl.serving.bundle.read import read_recorded
from llmtl.serving.task_api.interface import RequestLimits
from tests.support.live_bundle import KEY, client_of, error_of, live_server

CHAT, PREDICT = "/v1/chat/completions", "/v1/predict"
LIMITS = RequestLimits(max_body_bytes=10_000, max_inputs=40, max_characters=2_000)


@pytest.fixture(scope="module")
def folder(llama_run, bundle_of):
    return bundle_of(llama_run, "tfidf")


@pytest.fixture(scope="module")
def recorded(folder):
    return read_recorded(folder)


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    with live_server(folder, tmp_path_factory.mktemp("server") / "log.txt", limits=LIMITS) as url:
        yield url


@pytest.fixture
def http(url):
    with client_of(url) as client:
        yield client


@pytest.fixture
def chat(url):
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        yield client.chat.completions


def user(text):
    return [{"role": "user", "content": text}]


def test_labels_and_probabilities_are_the_measured_ones(http, recorded):
    texts = [row.text for row in recorded]
    rows = []
    for start in range(0, len(texts), 40):
        answer = http.post(PREDICT, json={"inputs": texts[start : start + 40]}).json()
        assert (answer["object"], answer["model"]) == ("list", "front-desk")
        assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
        assert [row["index"] for row in answer["data"]] == list(range(len(answer["data"])))
        rows += answer["data"]
    assert [row["label"] for row in rows] == [row.prediction for row in recorded]
    for row, measured in zip(rows, recorded, strict=True):
        assert row["probabilities"] == pytest.approx(measured.probabilities, abs=1e-12)


def test_a_chat_client_gets_the_label(chat, recorded):
    for row in recorded[:5]:
        answer = chat.create(model="front-desk", messages=user(row.text), temperature=0.7, max_tokens=1)
        assert (answer.model, answer.object) == ("front-desk", "chat.completion")
        [choice] = answer.choices
        assert (choice.message.role, choice.message.content) == ("assistant", row.prediction)
        assert (choice.finish_reason, choice.logprobs) == ("stop", None)
        assert answer.usage.completion_tokens == 1


def test_log_probabilities_are_those_of_the_labels(chat, recorded):
    row = recorded[0]
    answer = chat.create(model="front-desk", messages=user(row.text), logprobs=True, top_logprobs=3)
    [token] = answer.choices[0].logprobs.content
    ranked = sorted(row.probabilities, key=row.probabilities.get, reverse=True)
    assert [top.token for top in token.top_logprobs] == ranked[:3]
    for each in (token, *token.top_logprobs):
        assert each.logprob == pytest.approx(math.log(row.probabilities[each.token]), abs=1e-9)
        assert bytes(each.bytes).decode() == each.token
    assert token.token == row.prediction


def test_the_answer_can_be_streamed(chat, recorded):
    row = recorded[0]
    stream = chat.create(
        model="front-desk",
        messages=user(row.text),
        stream=True,
        stream_options={"include_usage": True},
        logprobs=True,
        extra_body={"return_prompt_text": True},
    )
    *chunks, usage = list(stream)
    assert {chunk.model for chunk in chunks} == {"front-desk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[0].prompt_text == row.text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == row.prediction
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].choices[0].logprobs.content[0].token == row.prediction
    assert usage.choices == []
    assert usage.usage.total_tokens == 1


def test_the_task_and_its_model_are_described(http, folder):
    models = http.get("/v1/models").json()["data"]
    assert [(each["id"], each["object"]) for each in models] == [
        ("front-desk", "model"),
        ("front-desk/majority", "model"),
    ]
    task = http.get("/v1/task").json()
    labels = json.loads((folder / "bundle.json").read_text())["task"]["labels"]
    assert (task["task"], task["strategy"], task["labels"]) == ("front-desk", "tfidf", labels)
    assert task["strategies"] == [
        {"model": "front-desk", "strategy": "tfidf", "weights": "classifier"},
        {"model": "front-desk/majority", "strategy": "majority", "weights": "classifier"},
    ]
    assert task["base_model"] is None
    assert task["engine"].startswith("llmtl ")
    assert task["limits"] == {"max_body_bytes": 10_000, "max_inputs": 40, "max_characters": 2_000}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", CHAT, b"no", 400, "invalid_json"),
        ("POST", CHAT, {"model": "gpt-5", "messages": user("x")}, 404, "model_not_found"),
        ("POST", CHAT, {"messages": user("x")}, 400, "missing_model"),
        ("POST", CHAT, {"model": "front-desk", "messages": user(" ")}, 400, "empty_message"),
        ("POST", CHAT, {"model": "front-desk", "messages": user("x" * 2_001)}, 400, "message_too_long"),
        ("POST", CHAT, {"model": "front-desk", "messages": user("x" * 20_000)}, 413, "request_too_large"),
        ("POST", PREDICT, {"inputs": ["x"], "model": "front-desk/zero-shot"}, 404, "model_not_found"),
        ("POST", PREDICT, {"inputs": ["x"] * 41}, 400, None),
        ("POST", "/v1/completions", {"model": "front-desk", "prompt": "x"}, 404, "not_found"),
        ("GET", "/nowhere", None, 404, "not_found"),
        ("GET", PREDICT, None, 405, "method_not_allowed"),
        ("POST", "/v1/task", {}, 405, "method_not_allowed"),
    ],
)
def test_wrong_requests_get_an_error_in_openais_form(http, method, path, body, status, code):
    content = body if isinstance(body, bytes | None) else json.dumps(body)
    headers = {"content-type": "application/json"}
    assert error_of(http.request(method, path, content=content, headers=headers), status)["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": "\\ud800", "messages": [{"role": "user", "content": "x"}]}',
        b'{"model": "front-desk", "messages": [{"role": "user", "content": "x"}], "n": NaN}',
        b'{"model": "front-desk", "messages": [{"role": "user", "content": "x"}], "user": "\\udfff"}',
        b'{"model": "front-desk", "a": ' + b"[" * 4_000,
        b'{"model": "front-desk", "seed": 1' + b"0" * 4_400 + b"}",
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
    ],
)
def test_what_only_some_parsers_read_is_refused(http, body):
    for path in (CHAT, PREDICT):
        error_of(http.post(path, content=body, headers={"content-type": "application/json"}), 400)


def test_a_body_that_does_not_tell_its_size_is_counted(http):
    pieces = iter([b"[" + b" " * 5_000] * 5)
    answer = http.post(PREDICT, content=pieces, headers={"content-type": "application/json"})
    assert error_of(answer, 413)["code"] == "request_too_large"


def test_the_openai_package_raises_its_own_errors(chat):
    with pytest.raises(openai.NotFoundError, match="ask for one of 'front-desk', 'front-desk/majority'"):
        chat.create(model="gpt-5", messages=user("x"))
    with pytest.raises(openai.BadRequestError, match="must be the user's"):
        chat.create(model="front-desk", messages=[*user("x"), {"role": "assistant", "content": "card"}])


def test_a_wrong_key_opens_nothing_but_probes(url):
    with client_of(url, "another key") as stranger:
        for path in (CHAT, PREDICT, "/v1/nowhere"):
            assert error_of(stranger.post(path, json={}), 401)["code"] == "invalid_api_key"
        for path in ("/v1/models", "/v1/task", "/docs"):
            error_of(stranger.get(path), 401)
        assert stranger.get("/health").status_code == 200
        assert stranger.get("/metrics").status_code == 200


def test_no_other_origin_is_let_in(http):
    answer = http.options(CHAT, headers={"Origin": "http://a.example", "Access-Control-Request-Method": "POST"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_requests_are_counted_by_route(http):
    def counted():
        families = text_string_to_metric_families(http.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if "le" not in sample.labels]
        return {(each.name, each.labels.get("route"), each.labels.get("status")): each.value for each in samples}

    before = counted()
    http.post(PREDICT, json={"inputs": ["x"]})
    http.post(PREDICT, json={"inputs": []})
    http.get("/secret/1")
    http.get("/secret/2")
    after = counted()

    def grown(name, route, status=None):
        return after[name, route, status] - before.get((name, route, status), 0)

    assert grown("llmtl_requests_total", PREDICT, "200") == 1
    assert grown("llmtl_requests_total", PREDICT, "400") == 1
    assert grown("llmtl_requests_total", "other", "404") == 2
    assert grown("llmtl_request_errors_total", PREDICT) == 1
    assert grown("llmtl_request_seconds_count", PREDICT) == 2
    assert not [name for name in after if any("secret" in str(part) for part in name)]


def test_the_most_frequent_label_is_served_too(llama_run, bundle_of, tmp_path):
    folder = bundle_of(llama_run, "majority")
    with live_server(folder, tmp_path / "log.txt", key=None) as url, client_of(url) as client:
        [row] = client.post(PREDICT, json={"inputs": ["whatever"]}).json()["data"]
    measured = read_recorded(folder)[0]
    assert (row["label"], row["probabilities"]) == (measured.prediction, measured.probabilities)


@pytest.mark.parametrize("strategy", ["zero-shot", None])
def test_what_it_cannot_serve_is_said_in_one_line(llama_run, bundle_of, tmp_path, strategy):
    folder = bundle_of(llama_run, strategy) if strategy else tmp_path
    command = [sys.executable, "-m", "llmtl.serving.task_api.classifier_app", "--bundle", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert ("vLLM runs the winner 'zero-shot'; serve it with" if strategy else "is not a bundle") in line
