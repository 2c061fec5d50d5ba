"""Checks of a live server against what a run recorded, for any model of a bundle."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

CLOSE = 1e-4
AT_ONCE = 16


def measured(run, strategy):
    """Return the test texts of a run and what the strategy predicted for them."""
    texts = {row["id"]: row["text"] for row in _rows(run.folder / "data" / "test.jsonl")}
    rows = _rows(run.folder / "predictions" / f"{strategy}.test.jsonl")
    return [texts[row["id"]] for row in rows], rows


def assert_predicts_as_measured(client, run, strategy, model):
    """Compare every label and probability of `/v1/predict`, and the tokens, with the recorded ones."""
    texts, rows = measured(run, strategy)
    answer = client.post("/v1/predict", json={"inputs": texts, "model": model})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["model"] == model
    assert [row["index"] for row in body["data"]] == list(range(len(rows)))
    assert [row["label"] for row in body["data"]] == [row["prediction"] for row in rows]
    for row, recorded in zip(body["data"], rows, strict=True):
        assert row["probabilities"] == pytest.approx(recorded["probabilities"], abs=CLOSE)
    assert body["usage"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in rows)


def assert_chats_as_measured(client, run, strategy, model):
    """Compare label, log-probability and tokens of every chat, many at once, with the recorded ones."""
    texts, rows = measured(run, strategy)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda text: chat(client, model, text, logprobs=True), texts))
    for answer, recorded in zip(answers, rows, strict=True):
        [choice] = answer["choices"]
        assert (answer["model"], choice["message"]["content"]) == (model, recorded["prediction"])
        assert choice["finish_reason"] == "stop"
        told = sum(token["logprob"] for token in choice["logprobs"]["content"])
        assert math.exp(told) == pytest.approx(recorded["probabilities"][recorded["prediction"]], abs=CLOSE)
        assert answer["usage"]["prompt_tokens"] == recorded["prompt_tokens"]


def chat(client, model, text, **fields):
    """Return the completion of one message."""
    answer = client.post("/v1/chat/completions", json={"model": model, "messages": user(text), **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def user(text):
    """Return a conversation of one user message."""
    return [{"role": "user", "content": text}]


def _rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
