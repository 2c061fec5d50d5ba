"""A hosted winner behind the same routes: forwarded to its provider within its limits, its key left where it was."""

import asyncio
import json
import re
import shutil
import threading
import time
from dataclasses import replace

import openai
import pytest
from starlette.testclient import TestClient

from llmtl.costs import TokenPrices
from llmtl.engines.openai.config import EndpointConfig
from llmtl.errors import BundleError, HostedError
from llmtl.measured.endpoint import Paid
from llmtl.pipeline.export import export
from llmtl.pipeline.playground import playground_content
from llmtl.pipeline.report import read_served
from llmtl.playground.cost import price
from llmtl.serving.bundle.provider import hosted_winner, read_hosted, require_key
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.proof.target import LiveEndpoint
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.paid_metrics import read_paid
from tests.support.hosted_run import TROUBLES, make_hosted_run
from tests.support.hosted_server import completion, error, hosted_server
from tests.support.live_bundle import free_port
from tests.support.serve_process import serving

KEY, KEY_ENV = "sk-a-key-of-the-provider", "MAIL_PROVIDER_KEY"
USD_PER_REQUEST = (8 * 50 * 0.5 + 2 * 1.5) / 1e6


def answer(body):
    """Return the label by keyword, and what is no label for one message."""
    text = body["messages"][-1]["content"]
    if "unclear" in text:
        return completion("I would rather not say")
    label = next(label for word, label in TROUBLES.items() if word in text)
    first = label.split(" ")[0]
    likeliest = {each.split(" ")[0]: 0.1 for each in TROUBLES.values()} | {first: 0.8}
    return completion(label, steps=[(first, likeliest)], prompt_tokens=50 * len(body["messages"]))


@pytest.fixture(scope="module")
def server():
    with hosted_server(answer) as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def provider_key():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_ENV, KEY)
        yield


@pytest.fixture(scope="module")
def run(server, tmp_path_factory, provider_key):
    return make_hosted_run(tmp_path_factory.mktemp("run"), server.url, key_env=KEY_ENV, further=", concurrency: 3")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle")


def client(folder, **environment):
    return TestClient(create_app(folder, environment=environment))


def chat(text):
    return {"model": "mail", "messages": [{"role": "user", "content": text}]}


def test_the_bundle_says_where_and_never_the_key(run, folder, server):
    assert run.decision.winner == "hosted"
    for path in folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
    bundle, winner = open_bundle(folder), read_hosted(folder, {})
    assert (bundle.base, bundle.winner.weights) == (None, "hosted")
    assert [each.model for each in bundle.others] == ["mail/majority"]
    asked = winner.endpoint
    assert (asked.base_url, asked.api_key_env, asked.max_usd) == (server.url, KEY_ENV, 10.0)
    assert winner.usd_per_request == pytest.approx(USD_PER_REQUEST)
    card = (folder / "README.md").read_text()
    assert f"Every input is sent to 'm' at {server.url}" in card
    assert f"`{KEY_ENV}`" in card
    assert not list(folder.rglob("*.safetensors"))


def test_both_routes_answer_as_measured_with_the_same_conversation(folder, server):
    recorded = read_recorded(folder)
    measured = [body["messages"] for body in server.bodies]
    asked = len(server.bodies)
    with client(folder) as http:
        rows = http.post("/v1/predict", json={"inputs": [row.text for row in recorded]}).json()
        for row, found in zip(recorded, rows["data"], strict=True):
            assert (found["label"], found["probabilities"]) == (row.prediction, pytest.approx(row.probabilities))
            spoken = http.post("/v1/chat/completions", json=chat(row.text)).json()
            assert spoken["choices"][0]["message"]["content"] == row.prediction
            assert spoken["usage"]["prompt_tokens"] == 8 * 50
    assert rows["usage"]["prompt_tokens"] == len(recorded) * 8 * 50
    assert len(server.bodies) == asked + len(recorded)  # a reply is paid once
    assert all(body["messages"] in measured for body in server.bodies[asked:])
    assert set(server.keys) == {f"Bearer {KEY}"}


def test_the_exact_prompt_is_the_whole_conversation_that_the_provider_gets(folder, server):
    text = "money back in May"
    with client(folder) as http:
        body = http.post("/v1/chat/completions", json=chat(text) | {"return_prompt_text": True}).json()
    turns = server.bodies[-1]["messages"]
    assert [turn["role"] for turn in turns] == ["system", *["user", "assistant"] * 3, "user"]
    assert body["prompt_text"] == "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in turns)
    assert turns[-1]["content"] in body["prompt_text"]


def test_metrics_say_what_the_provider_was_paid(folder):
    with client(folder) as http:
        assert read_paid(http.get("/metrics").text) == Paid(0, 0.0)
        for _ in range(2):  # the second reply is one that was kept
            http.post("/v1/predict", json={"inputs": ["money in a week", "charged in a week"]})
        assert read_paid(http.get("/metrics").text) == Paid(2, pytest.approx(2 * USD_PER_REQUEST))
    assert read_paid("# a server without a provider\n") is None


def test_what_is_no_label_is_said_on_both_routes(folder):
    with client(folder) as http:
        refused = http.post("/v1/chat/completions", json=chat("unclear"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_answer")
        assert "I would rather not say" in refused.json()["error"]["message"]
        good, bad = http.post("/v1/predict", json={"inputs": ["money", "unclear"]}).json()["data"]
        assert (good["label"], bad["label"]) == ("refund", None)
        assert "I would rather not say" in bad["error"]


def test_the_other_routes_and_the_clients_own_key(folder):
    with client(folder, VLLM_API_KEY="mine") as http:
        assert http.get("/health").status_code == 200
        assert http.get("/v1/models").status_code == 401
        http.headers["Authorization"] = "Bearer mine"
        assert [each["id"] for each in http.get("/v1/models").json()["data"]] == ["mail", "mail/majority"]
        task = http.get("/v1/task").json()
        assert (task["strategy"], task["base_model"], task["kind"]) == ("hosted", None, "classification")
        stream = http.post("/v1/chat/completions", json=chat("money") | {"stream": True}).text
        assert '"content": "refund"' in stream


def test_the_spend_limit_and_a_failing_provider_are_told(folder, server):
    with client(folder, LLMTL_HOSTED_MAX_USD="0.000001") as http:
        asked = len(server.bodies)
        refused = http.post("/v1/chat/completions", json=chat("money please"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "spend_limit_reached")
        assert "spend limit of 1e-06 USD" in refused.json()["error"]["message"]
        assert "LLMTL_HOSTED_MAX_USD" in refused.json()["error"]["message"]
        api = openai.OpenAI(base_url="http://testserver/v1", api_key="none", http_client=http)
        with pytest.raises(openai.APIStatusError) as told:  # clients try 502 again, which would not help here
            api.chat.completions.create(**chat("money please"))
        assert told.value.request.headers["x-stainless-retry-count"] == "0"
        assert len(server.bodies) == asked
    with client(folder) as http:
        server.refusals.append(error(401, "no such key"))
        refused = http.post("/v1/predict", json={"inputs": ["money once more"]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (502, "hosted_model_failed")
        assert "refuses the key" in refused.json()["error"]["message"]
    with pytest.raises(HostedError, match="LLMTL_HOSTED_MAX_USD is 'lots'; give a number above 0"):
        create_app(folder, environment={"LLMTL_HOSTED_MAX_USD": "lots"})


def test_all_clients_together_keep_to_the_limit_at_once(folder, server, monkeypatch):
    under_way, most, lock, three = [0], [0], threading.Lock(), threading.Barrier(3, timeout=60)

    def slowly(body):
        del body
        return completion("refund")

    class Counting:
        """The server's own lock is held while it answers; this one counts who waits."""

        def __enter__(self):
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            three.wait()
            time.sleep(0.05)  # for a fourth

        def __exit__(self, *_):
            with lock:
                under_way[0] -= 1

    monkeypatch.setattr(server, "answer", slowly)
    monkeypatch.setattr(server, "lock", Counting())
    with client(folder) as http:
        rows = http.post("/v1/predict", json={"inputs": [f"text {n}" for n in range(12)]}).json()["data"]
    assert {row["label"] for row in rows} == {"refund"}
    assert most[0] == 3


def test_nothing_more_is_asked_for_a_client_that_left(folder, server, monkeypatch):
    first, left = threading.Event(), threading.Event()

    def slowly(body):
        first.set()
        left.wait(60)
        return answer(body)

    monkeypatch.setattr(server, "answer", slowly)
    body = json.dumps({"inputs": [f"money number {n}" for n in range(100, 140)]}).encode()
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": headers, "query_string": b""}
    asked, waiting, sent = len(server.bodies), [body], []

    async def receive():
        if waiting:
            return {"type": "http.request", "body": waiting.pop()}
        await asyncio.to_thread(first.wait)
        threading.Timer(0.2, left.set).start()  # when that was heard; the loop waits for what is under way
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    app = create_app(folder, environment={})

    async def visit():
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)

    asyncio.run(visit())
    assert first.is_set()
    assert len(server.bodies) - asked < 20  # of 40
    assert not any(message.get("status") == 200 for message in sent)


@pytest.mark.slow
def test_serve_times_what_it_pays_for_and_says_what_it_cost(run, folder, server):
    with serving(run.folder, "--port", "0", "--no-playground") as process:
        asked = len(server.bodies)
        url = process.announced()
        assert "Inputs go to 'm' at" in process.output
        assert "20 now to be timed and for the parity check, about 0.0041 USD" in process.output
        assert "Parity: 20 of 20 recorded labels" in process.output
        assert "Paid to the provider so far: 0.0041 USD for 20 requests" in process.output
        assert len(server.bodies) == asked + 20  # warm-up, timing and check together ask for each input once
        for at_once, requests in ((1, 10), (3, 9)):  # the warm-up's input is known already
            assert re.search(rf"Load: {at_once} at a time: p50 .*\({requests} requests\)", process.output)
        endpoint = LiveEndpoint(url.removesuffix("/v1"), "mail")
        parity = check_parity(endpoint, read_recorded(folder), reading_of(open_bundle(folder), folder))
        assert parity.passed
        costs = {each.name: price(each, run.recipe.prices) for each in playground_content(url, run=run).costs}
        monthly = run.recipe.prices.requests_per_month
        assert costs["Prompt to a hosted model"].month == pytest.approx(monthly * USD_PER_REQUEST)
        assert not any("served" in name for name in costs)  # the endpoint's own figure is not a rival of offline ones
        assert costs["Prompt to a hosted model"].fitting > 10 * USD_PER_REQUEST  # the search on dev was paid for
        assert process.stop() == 0
    served = read_served(run)
    assert served.device == "hosted"
    assert served.paid == Paid(20, pytest.approx(20 * USD_PER_REQUEST))
    assert served.usd_per_1k_requests == pytest.approx(1000 * USD_PER_REQUEST)
    assert [(load.concurrency, load.requests, load.errors) for load in served.loads] == [(1, 10, 0), (3, 9, 0)]
    assert (
        "20 requests to the provider cost $0.0041, the parity check included" in (run.folder / "report.md").read_text()
    )


def test_without_the_key_nothing_is_started(run, folder, monkeypatch, capsys):
    from llmtl.cli import main

    monkeypatch.delenv(KEY_ENV)
    with pytest.raises(HostedError, match=f"set the environment variable {KEY_ENV}"):
        require_key(read_hosted(folder, {}), {})
    assert main(["serve", str(run.folder), "--port", str(free_port()), "--no-playground"]) != 0
    assert f"set the environment variable {KEY_ENV}" in capsys.readouterr().err


def test_private_inputs_and_a_password_in_the_address_are_refused(run, folder, tmp_path):
    elsewhere = run.recipe.strategies.hosted.model_copy(update={"base_url": "https://api.example.com/v1"})
    changes = {
        "decision": run.recipe.decision.model_copy(update={"private": True}),
        "strategies": run.recipe.strategies.model_copy(update={"hosted": elsewhere}),
    }
    private = replace(run, recipe=run.recipe.model_copy(update=changes))
    with pytest.raises(BundleError, match=r"the recipe's decision\.private forbids"):
        export(private, tmp_path / "bundle")
    winner = read_hosted(folder, {})
    [test] = [each for each in run.evaluations if (each.strategy, each.split) == ("hosted", "test")]
    told = winner.endpoint.model_copy(update={"base_url": "https://me:secret@x.org/v1"})
    with pytest.raises(BundleError, match="holds a name or password"):
        hosted_winner(told, winner.prices, test, top_logprobs=0)


def test_a_file_of_an_older_version_is_read(tmp_path):
    model = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "api_key_env": None, "context_length": 128000}
    model |= {"requests_per_minute": None, "concurrency": 8, "max_retries": 6, "timeout_seconds": 120.0}
    model |= {"top_logprobs": 20, "temperature": 0.0, "token_field": "max_completion_tokens", "max_usd": 10.0}
    model |= {"prices": {"prompt": 0.5, "cached": 0.5, "completion": 1.5}, "section": "strategies.hosted"}
    (tmp_path / "hosted.json").write_text(json.dumps({"model": model, "usd_per_request": 5.3e-05}))
    winner = read_hosted(tmp_path, {"LLMTL_HOSTED_MAX_USD": "3"})
    assert winner.endpoint == EndpointConfig(base_url="http://127.0.0.1:1/v1", model="m", api_key_env=None, max_usd=3.0)
    assert (winner.prices, winner.top_logprobs) == (TokenPrices(0.5, 0.5, 1.5), 20)
    assert winner.usd_per_request == 5.3e-05


def test_a_damaged_file_is_told(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bundle")
    (tmp_path / "bundle" / "hosted.json").write_text(json.dumps({"model": {}}))
    with pytest.raises(BundleError, match=r"hosted\.json' is missing or damaged"):
        read_hosted(tmp_path / "bundle", {})
