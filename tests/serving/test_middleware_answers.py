"""Answers that are not the labels letter for letter: a model that begins them with a space, JSON, and text.

The model is pocket-mistral with a space before the assistant's words in its chat template, as Mistral's own has it.
"""

import asyncio
import json
import shutil

import httpx
import openai
import pytest
from live_bundle import KEY, client_of, live_server
from live_checks import assert_chats_as_measured, assert_predicts_as_measured, chat, measured, user

import llmtl
from llmtl.pipeline.export import export
from llmtl.pocket import resolve
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.bundle.vllm_config import JSON_DECODING
from llmtl.serving.task_api.middleware import TaskMiddleware

pytestmark = pytest.mark.slow
CHAT, PREDICT = "/v1/chat/completions", "/v1/predict"
TASK = "front-desk"
ZERO_SHOT = f"{TASK}/zero-shot"
SPAN = {"type": "object", "properties": {"about": {"enum": ["card", "shop"]}}, "required": ["about"]}


@pytest.fixture(scope="module")
def run(mistral_run, tmp_path_factory):
    """Return a run of the model whose answers begin with a space."""
    folder = tmp_path_factory.mktemp("spaced")
    model = folder / "spaced-mistral"
    shutil.copytree(resolve("pocket-mistral"), model)
    written = (model / "chat_template.jinja").read_text()
    spaced = written.replace("'|>' + message", "'|>' + (' ' if message['role'] == 'assistant' else '') + message")
    assert spaced != written
    (model / "chat_template.jinja").write_text(spaced)
    shutil.copyfile(mistral_run.folder.parent / "messages.csv", folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        f"name: {TASK}\ndata: {{path: messages.csv}}\nmodel: {{name: {model}}}\n"
        "task: {instruction: 'Say what the message is about.'}\n"
        "strategies:\n  run: [majority, tfidf, zero-shot, few-shot]\n  few_shot: {shots: [4], seeds: 1}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy="few-shot")


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with live_server(folder, log, extra=("--structured-outputs-config", JSON_DECODING)) as url:
        yield url


def test_the_answers_begin_with_a_space(folder):
    bundle = open_bundle(folder)
    assert bundle.answers == tuple(f" {label}" for label in bundle.task.labels)


@pytest.mark.parametrize(("strategy", "model"), [("few-shot", TASK), ("zero-shot", ZERO_SHOT)])
def test_clients_get_the_labels_as_measured(url, run, strategy, model):
    with client_of(url) as client:
        assert_predicts_as_measured(client, run, strategy, model)
        assert_chats_as_measured(client, run, strategy, model)


@pytest.mark.parametrize(("strategy", "model"), [("few-shot", TASK), ("zero-shot", ZERO_SHOT)])
def test_streams_say_the_label(url, run, strategy, model):
    texts, rows = measured(run, strategy)
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        for text, row in list(zip(texts, rows, strict=True))[:5]:
            chunks = list(client.chat.completions.create(model=model, messages=user(text), stream=True, logprobs=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == row["prediction"]
            assert {chunk.model for chunk in chunks} == {model}
            assert chunks[-1].choices[0].finish_reason == "stop"


def answers(url, folder, output, *requests):
    """Return the responses of the middleware over the live server, for a bundle with another form of answer."""
    changed = folder.parent / f"changed-{output['form']}"
    shutil.copytree(folder, changed, dirs_exist_ok=True)
    bundle = json.loads((changed / "bundle.json").read_text())
    (changed / "bundle.json").write_text(json.dumps({**bundle, "output": output}))

    async def live(scope, receive, send):
        body = (await receive())["body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        async with httpx.AsyncClient(base_url=url, timeout=240, trust_env=False) as client:
            answer = await client.post(scope["path"], content=body, headers=headers)
        kind = answer.headers["content-type"].encode()
        await send({"type": "http.response.start", "status": answer.status_code, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": answer.content})

    async def ask():
        app = TaskMiddleware(live, {"LLMTL_BUNDLE": str(changed), "VLLM_API_KEY": KEY})
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://x", headers={"Authorization": f"Bearer {KEY}"}
        )
        async with client:
            return [await client.post(path, json=body) for path, body in requests]

    return asyncio.run(ask())


def test_spans_are_json_under_the_schema(url, folder):
    output = {"form": "json", "schema": SPAN, "max_tokens": 40}
    whole, many = answers(
        url,
        folder,
        output,
        (CHAT, {"model": ZERO_SHOT, "messages": user("my card is lost")}),
        (PREDICT, {"model": ZERO_SHOT, "inputs": ["my card is lost", "when do you open?"]}),
    )
    assert (whole.status_code, many.status_code) == (200, 200)
    assert whole.json()["model"] == ZERO_SHOT
    first, second = many.json()["data"]
    assert json.loads(whole.json()["choices"][0]["message"]["content"]) == first["output"]
    for row in (first, second):
        assert row["output"]["about"] in ("card", "shop")
    assert (first["index"], second["index"]) == (0, 1)
    assert many.json()["usage"]["prompt_tokens"] > whole.json()["usage"]["prompt_tokens"]


def test_text_is_as_long_as_the_task_says(url, folder):
    output = {"form": "text", "max_tokens": 3}
    text = "my card is lost"
    whole, many, long, too_long = answers(
        url,
        folder,
        output,
        (CHAT, {"model": ZERO_SHOT, "messages": user(text), "max_tokens": 50, "temperature": 2}),
        (PREDICT, {"model": ZERO_SHOT, "inputs": [text]}),
        (CHAT, {"model": ZERO_SHOT, "messages": user("card " * 1_900)}),
        (PREDICT, {"model": ZERO_SHOT, "inputs": ["x", "card " * 2_100]}),
    )
    assert 1 <= whole.json()["usage"]["completion_tokens"] <= 3
    assert many.json()["data"][0]["output"] == whole.json()["choices"][0]["message"]["content"]
    assert long.status_code == 200
    assert too_long.status_code == 400
    assert too_long.json()["error"]["param"] == "inputs[1]"
    with client_of(url) as client:
        free = chat(client, "spaced-mistral", "x", max_tokens=1)
    assert free["model"] == "spaced-mistral"
