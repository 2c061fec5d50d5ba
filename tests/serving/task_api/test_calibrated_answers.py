"""Calibrated strategies behind the middleware: both routes give the label after calibration, the wording is theirs."""

import asyncio
import json
import shutil
from dataclasses import replace

import httpx
import numpy as np
import pytest
from transformers import AutoTokenizer

from llmtl.engines.tokenizer import TokenizerWording
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import BUNDLE
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.middleware import TaskMiddleware
from tests.serving.task_api.test_predict_scoring import StandIn, predicted
from tests.support.small_bundle import LABELS, small_bundle

TOLD = "Which queue is it?"
CALIBRATION = LabelCalibration(Method.AFFINE, (1.0, 0.5, 2.0, 1.0, 1.5), (0.0, 3.0, -1.0, 1.0, 0.5))
TEXTS = [f"message {number}" for number in range(12)]


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.fixture(scope="module")
def bundle():
    plain = small_bundle()
    winner = replace(plain.winner, instruction=TOLD, calibration=CALIBRATION)
    other = replace(plain.winner, name="few-shot-plain", model="tickets/plain", instruction=TOLD)
    return replace(plain, winner=winner, others=(other, *plain.others))


@pytest.fixture(scope="module")
def folder(bundle, tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("calibrated") / "bundle"
    shutil.copytree(tiny_llama, folder / "model")
    (folder / "bundle.json").write_text(json.dumps(BUNDLE.dump_python(bundle, mode="json")))
    return folder


def ask(folder, *bodies, path="/v1/chat/completions"):
    """Return the responses of the middleware in front of the stand-in for vLLM."""

    async def go():
        app = TaskMiddleware(StandIn(), {"LLMTL_BUNDLE": str(folder)})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return [await client.post(path, json=body) for body in bodies]

    return asyncio.run(go())


def chat(text, **more):
    return {"model": "tickets", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture(scope="module")
def rows(bundle, tokenizer):
    """Return the calibrated predictions, worked out from those of the same strategy without calibration."""
    plain = predicted(bundle, tokenizer, StandIn(), TEXTS, bundle.others[0])
    probabilities = CALIBRATION.apply([list(row.fields["probabilities"].values()) for row in plain])
    labels = [LABELS[index] for index in probabilities.argmax(axis=1)]
    assert labels != [row.fields["label"] for row in plain]
    return list(zip(labels, probabilities, strict=True))


def test_predict_gives_the_calibrated_label_and_probabilities(folder, rows):
    [answer] = ask(folder, {"inputs": TEXTS}, path="/v1/predict")
    for row, (label, probabilities) in zip(answer.json()["data"], rows, strict=True):
        assert row["label"] == label
        assert list(row["probabilities"].values()) == pytest.approx(probabilities, abs=1e-12)


def test_chat_gives_the_same_label_whole_and_streamed(folder, rows):
    for text, (label, probabilities) in zip(TEXTS, rows, strict=True):
        whole, stream = ask(folder, chat(text, logprobs=True, top_logprobs=2), chat(text, stream=True))
        [choice] = whole.json()["choices"]
        assert (whole.json()["model"], choice["message"]["content"], choice["finish_reason"]) == (
            "tickets",
            label,
            "stop",
        )
        [token] = choice["logprobs"]["content"]
        assert np.exp(token["logprob"]) == pytest.approx(max(probabilities))
        assert len(token["top_logprobs"]) == 2
        chunks = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == label


def test_usage_and_prompt_are_those_of_the_model(folder, bundle, tokenizer):
    [answer] = ask(folder, chat("my card", return_prompt_text=True))
    told = Template(replace(bundle.task, instruction=TOLD), TokenizerWording(tokenizer))
    expected = told.prompt("my card", bundle.winner.demonstrations)
    assert answer.json()["prompt_text"] == expected
    count = len(tokenizer(expected, add_special_tokens=False)["input_ids"])
    assert answer.json()["usage"] == {"prompt_tokens": count, "completion_tokens": 1, "total_tokens": count + 1}


def test_every_strategy_has_its_own_wording(bundle, tokenizer):
    conversations = Conversations(bundle, tokenizer)
    system = {each.name: conversations.messages(each, "x")[0]["content"].split("\n")[0] for each in bundle.strategies}
    assert system == {"few-shot": TOLD, "few-shot-plain": TOLD, "knn-few-shot": bundle.task.instruction}


def test_a_manifest_is_read_back_with_wording_and_calibration(bundle, folder):
    read = BUNDLE.validate_python(json.loads((folder / "bundle.json").read_text()))
    assert read == bundle
    assert read.winner.calibration == CALIBRATION


def test_the_task_is_described_with_the_winners_wording(folder):
    async def go():
        app = TaskMiddleware(StandIn(), {"LLMTL_BUNDLE": str(folder)})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            return (await client.get("/v1/task")).json()

    assert asyncio.run(go())["instruction"] == TOLD
