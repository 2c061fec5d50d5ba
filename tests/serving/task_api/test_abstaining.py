"""A server leaves to a person what was left to one when it was measured: both kinds of server, both routes."""

import asyncio
import csv
import json
import random
import shutil
from dataclasses import replace

import httpx
import pytest
from starlette.testclient import TestClient

import llmtl
from llmtl.decision.promise import Promise
from llmtl.pipeline.export import export
from llmtl.serving.bundle.manifest import BUNDLE, Abstaining
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.task_api.classifier_app import create_app
from llmtl.serving.task_api.middleware import TaskMiddleware
from tests.serving.task_api.test_predict_scoring import StandIn
from tests.support.small_bundle import small_bundle

CHAT, PREDICT = "/v1/chat/completions", "/v1/predict"
TEXT = "Bitte einen Menschen fragen."
WORDS = {"refund": "money back charge paid twice", "delivery": "parcel courier late tracking door"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run on messages of which a fifth could be about anything."""
    folder, rng = tmp_path_factory.mktemp("unsure"), random.Random(1)
    rows = []
    for number in range(1500):
        label = rng.choice(list(WORDS))
        words = (
            rng.sample(WORDS[label].split(), 3) if rng.random() < 0.8 else rng.sample(["hello", "help", "me", "now"], 3)
        )
        rows.append((f"{' '.join(words)} case {number}", label))
    with (folder / "messages.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    unknown = [f"weather sunny {number}" for number in range(60)]
    (folder / "unknown.csv").write_text("\n".join(["text", *unknown, unknown[0]]) + "\n")
    (folder / "recipe.yaml").write_text(
        f"name: unsure\ndata: {{path: messages.csv, unknown: unknown.csv}}\nmodel: {{name: pocket-llama}}\n"
        f"task: {{abstain_text: '{TEXT}'}}\nstrategies: {{run: [majority, tfidf]}}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="module")
def shown(run):
    """Return what was shown of tfidf."""
    return next(item for item in run.decision.automation if item.strategy == "tfidf")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy="tfidf")


@pytest.fixture(scope="module")
def client(folder):
    with TestClient(create_app(folder, environment={})) as client:
        yield client


def user(text, **more):
    return {"model": "unsure", "messages": [{"role": "user", "content": text}], **more}


def said(response):
    return response.json()["choices"][0]["message"]["content"]


def test_the_bundle_keeps_the_threshold_that_test_showed(folder, shown):
    assert shown.promise is Promise.SHOWN
    assert 0.5 < shown.share < 1
    assert open_bundle(folder).winner.abstains == Abstaining(shown.threshold, 0.05, TEXT)


def test_inputs_without_a_right_answer_are_left_to_a_person_and_told_apart(run, shown):
    assert shown.unknown.n == 60  # one was there twice
    assert shown.unknown.rejected == 1
    assert shown.unknown.auroc > 0.7
    silent = next(item for item in run.decision.automation if item.strategy == "majority")
    assert (silent.promise, silent.threshold) == (Promise.UNORDERED, None)


def test_predict_leaves_to_a_person_what_the_measurement_did(client, folder, shown):
    recorded = read_recorded(folder)
    left = 0
    for start in range(0, len(recorded), 100):
        part = recorded[start : start + 100]
        rows = client.post(PREDICT, json={"inputs": [row.text for row in part]}).json()["data"]
        for row, measured in zip(rows, part, strict=True):
            assert row["confidence"] == pytest.approx(measured.probabilities[measured.prediction])
            assert row["abstain"] is (row["confidence"] < shown.threshold)
            left += row["abstain"]
    assert len(recorded) - left == shown.answered


def test_a_chat_that_asks_for_it_is_told_so_and_any_other_gets_the_label(client):
    unsure, sure = "hello now help case", "parcel courier late case"
    assert said(client.post(CHAT, json=user(unsure, abstain=True, logprobs=True))) == TEXT
    assert said(client.post(CHAT, json=user(sure, abstain=True))) == "delivery"
    assert said(client.post(CHAT, json=user(unsure))) in WORDS
    stream = client.post(CHAT, json=user(unsure, abstain=True, stream=True)).text
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == TEXT


def test_the_server_says_when_it_abstains(client, shown):
    assert client.get("/v1/task").json()["abstains"] == {
        "threshold": shown.threshold,
        "max_error": 0.05,
        "text": TEXT,
    }


def test_abstain_must_be_true_or_false(client):
    answer = client.post(CHAT, json=user("hello", abstain="yes"))
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "abstain")


def test_a_bundle_of_an_earlier_version_has_no_threshold_and_says_so():
    document = BUNDLE.dump_python(small_bundle(), mode="json")
    for strategy in (document["winner"], *document["others"]):
        del strategy["abstains"]
    assert BUNDLE.validate_python(document).winner.abstains is None


# The same in front of vLLM.


@pytest.fixture(scope="module")
def vllm_folder(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("abstaining") / "bundle"
    shutil.copytree(tiny_llama, folder / "model")
    bundle = small_bundle()
    bundle = replace(bundle, winner=replace(bundle.winner, abstains=Abstaining(0.6, 0.05, TEXT)))
    (folder / "bundle.json").write_text(json.dumps(BUNDLE.dump_python(bundle, mode="json")))
    return folder


def ask(folder, *posts):
    async def go():
        app = TaskMiddleware(StandIn(), {"LLMTL_BUNDLE": str(folder)})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [await client.post(path, json=body) for path, body in posts]

    return asyncio.run(go())


def test_in_front_of_vllm_both_routes_abstain_alike(vllm_folder):
    texts = [f"message {number}" for number in range(12)]
    [answer] = ask(vllm_folder, (PREDICT, {"inputs": texts}))
    rows = answer.json()["data"]
    assert {row["abstain"] for row in rows} == {True, False}
    chats = ask(vllm_folder, *((CHAT, user(text, abstain=True) | {"model": "tickets"}) for text in texts))
    for row, answer in zip(rows, chats, strict=True):
        assert row["confidence"] == row["probabilities"][row["label"]]
        assert row["abstain"] is (row["confidence"] < 0.6)
        assert said(answer) == (TEXT if row["abstain"] else row["label"])


def test_a_strategy_without_a_threshold_refuses_to_abstain_and_its_rows_say_nothing(vllm_folder):
    refused, rows = ask(
        vllm_folder,
        (CHAT, user("x", abstain=True) | {"model": "tickets/knn"}),
        (PREDICT, {"inputs": ["x"], "model": "tickets"}),
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "no_threshold")
    assert "abstain" in rows.json()["data"][0]
