"""Checks of a served language model of any kind of task against what was recorded, whatever serves it."""

import json
from dataclasses import replace

import pytest

from llmtl.decision.promise import Promise
from llmtl.metrics.recalibration import SequenceCalibration
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


def promised(run):
    """Return the run as if test had shown a threshold of all that write: in the middle of the confidences on test."""
    tests = {each.strategy: each for each in run.evaluations if each.split == "test"}
    rows = []
    for item in run.decision.automation:
        calibration = item.calibration or SequenceCalibration(1.0, 0.0)
        known = [each.certainty_by(calibration) for each in tests[item.strategy].predictions]
        sure = sorted(each for each in known if each is not None)
        if sure:
            threshold = (sure[len(sure) // 2 - 1] + sure[len(sure) // 2]) / 2
            rows.append(replace(item, promise=Promise.SHOWN, threshold=threshold, calibration=calibration))
    decision = replace(run.decision, automation=tuple(rows), max_error_automated=0.05)
    return replace(run, result=replace(run.result, decision=decision))


def assert_abstains_as_measured(folder, post):
    """Compare confidence and abstaining of both routes with what was recorded."""
    bundle, recorded = open_bundle(folder), read_recorded(folder)
    abstains = bundle.winner.abstains
    rows = post("/v1/predict", {"inputs": [row.text for row in recorded]}).json()["data"]
    assert {row["abstain"] for row in rows} == {True, False}
    for row, measured in zip(rows, recorded, strict=True):
        assert row["confidence"] == pytest.approx(measured.confidence, abs=0.01)
        assert row["abstain"] is (row["confidence"] < abstains.threshold)
        plain, asked = (
            post("/v1/chat/completions", chat_of(bundle.winner.model, measured.text, **more)).json()
            for more in ({}, {"abstain": True})
        )
        [said], [told] = plain["choices"], asked["choices"]
        expected = abstains.text if row["abstain"] else said["message"]["content"]
        assert told["message"]["content"] == expected
        assert row["abstain"] or told["finish_reason"] == said["finish_reason"]


def assert_streams_as_it_answers(model, text, post):
    """Compare a stream, put together, with the answer in one piece."""
    whole = post("/v1/chat/completions", chat_of(model, text)).json()["choices"][0]["message"]["content"]
    stream = post("/v1/chat/completions", chat_of(model, text, stream=True)).text
    chunks = [json.loads(line[6:]) for line in stream.split("\n") if line.startswith("data: {")]
    assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == whole


def chat_of(model, text, **fields):
    """Return the body of a chat."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}
