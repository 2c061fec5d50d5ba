"""Checks of a served language model of any kind of task against what was recorded, whatever serves it."""

import json

from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.reading import reading_of


def assert_answers_as_measured(folder, post):
    """Compare both routes with the recorded answers; `post(path, body)` returns a response."""
    bundle, recorded = open_bundle(folder), read_recorded(folder)
    reading = reading_of(bundle, folder)
    texts = [row.text for row in recorded]
    answer = post("/v1/predict", {"inputs": texts})
    assert answer.status_code == 200, answer.text
    assert [reading.row(row) for row in answer.json()["data"]] == [row.prediction for row in recorded]
    for row in recorded:
        spoken = post("/v1/chat/completions", chat_of(bundle.winner.model, row.text, max_tokens=500, temperature=2))
        assert spoken.status_code == 200, spoken.text
        [choice] = spoken.json()["choices"]
        assert reading.chat(choice["message"]["content"], row) == row.prediction


def assert_strategy_answers_as_measured(run, folder, strategy, post):
    """Compare `/v1/predict` of any strategy in a bundle with what its run recorded on test."""
    bundle = open_bundle(folder)
    model = next(each.model for each in bundle.strategies if each.name == strategy)
    [measured] = [each for each in run.evaluations if (each.strategy, each.split) == (strategy, "test")]
    recorded = read_recorded(folder)
    answer = post("/v1/predict", {"inputs": [row.text for row in recorded], "model": model})
    assert answer.status_code == 200, answer.text
    reading = reading_of(bundle, folder)
    assert [reading.row(row) for row in answer.json()["data"]] == [each.answer for each in measured.predictions]
    prompts = sum(each.prompt_tokens for each in measured.predictions)
    assert answer.json()["usage"]["prompt_tokens"] == prompts  # the very demonstrations
    return [each.answer for each in measured.predictions]


def assert_streams_as_it_answers(model, text, post):
    """Compare a stream, put together, with the answer in one piece."""
    whole = post("/v1/chat/completions", chat_of(model, text)).json()["choices"][0]["message"]["content"]
    stream = post("/v1/chat/completions", chat_of(model, text, stream=True)).text
    chunks = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == whole


def chat_of(model, text, **fields):
    """Return the body of a chat."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
