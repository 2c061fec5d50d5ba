"""Answers that are not the labels letter for letter: a model that begins them with a space.

The model is pocket-mistral with a space before the assistant's words in its chat template, as Mistral's own has it.
"""

import shutil

import openai
import pytest

import llmtl
from llmtl.pipeline.export import export
from llmtl.pocket import resolve
from llmtl.serving.bundle.read import open_bundle
from tests.support.live_bundle import KEY, client_of, live_server
from tests.support.live_checks import assert_chats_as_measured, assert_predicts_as_measured, measured, user

pytestmark = pytest.mark.slow
TASK = "front-desk"
ZERO_SHOT = f"{TASK}/zero-shot"


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
    with live_server(folder, log) as url:
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
