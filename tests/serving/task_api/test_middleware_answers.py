"""Answers that are not the labels letter for letter, and answers put together of several orders of the labels.

The model is pocket-mistral with a space before the assistant's words in its chat template, as Mistral's own has it.
Whether several orders win on dev depends on the model, so the kept prompt of zero-shot is made to ask in several.
"""

import shutil

import openai
import pytest

import llmtl
from llmtl.pipeline.export import export
from llmtl.pipeline.run_format import read_examples
from llmtl.pocket import resolve
from llmtl.serving.bundle.manifest import Recorded
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.proof.target import LiveEndpoint
from llmtl.store import read_json, write_json
from tests.support.finished_runs import unsealed
from tests.support.front_desk import QUICKLY, write_messages
from tests.support.live_bundle import KEY, client_of, live_server
from tests.support.live_checks import assert_chats_as_measured, assert_predicts_as_measured, chat, measured, user

pytestmark = pytest.mark.slow
TASK = "front-desk"
ZERO_SHOT = f"{TASK}/zero-shot"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run of the model whose answers begin with a space."""
    folder = tmp_path_factory.mktemp("spaced")
    model = folder / "spaced-mistral"
    shutil.copytree(resolve("pocket-mistral"), model)
    written = (model / "chat_template.jinja").read_text()
    spaced = written.replace("'|>' + message", "'|>' + (' ' if message['role'] == 'assistant' else '') + message")
    assert spaced != written
    (model / "chat_template.jinja").write_text(spaced)
    write_messages(folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        f"name: {TASK}\ndata: {{path: messages.csv}}\nmodel: {{name: {model}}}\n"
        "task: {instruction: 'Say what the message is about.'}\n"
        "strategies:\n  run: [majority, tfidf, zero-shot, few-shot]\n  few_shot: {shots: [4], seeds: 1}\n"
        "  zero_shot: {built_in_instructions: false, rotations: 1, dev_examples: 20}\n"
        f"{QUICKLY}"
    )
    made = llmtl.run(folder / "recipe.yaml", out=folder / "run")
    unsealed(made.folder)
    kept = made.folder / made.index.fits["zero-shot"] / "prompt.json"
    write_json(kept, read_json(kept) | {"rotations": 4})
    return llmtl.load_run(made.folder)


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    return export(run, tmp_path_factory.mktemp("bundle") / "bundle", strategy="few-shot")


@pytest.fixture(scope="module")
def url(folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with live_server(folder, log) as url:
        yield url


@pytest.fixture(scope="module")
def in_several_orders(run):
    """Return the test examples and what zero-shot predicts for them with the labels in four orders."""
    examples = read_examples(run.folder, "test")
    return examples, run.predictor("zero-shot").predict([example.text for example in examples])


def test_the_answers_begin_with_a_space(folder):
    bundle = open_bundle(folder)
    assert bundle.answers == tuple(f" {label}" for label in bundle.task.labels)


def test_clients_get_the_labels_as_measured(url, run):
    with client_of(url) as client:
        assert_predicts_as_measured(client, run, "few-shot", TASK)
        assert_chats_as_measured(client, run, "few-shot", TASK)


def test_what_several_orders_were_measured_to_answer_is_served(url, run, in_several_orders, folder):
    examples, predicted = in_several_orders
    recorded = tuple(
        Recorded(example.id, example.text, example.reference, each.answer, dict(each.probabilities))
        for example, each in zip(examples, predicted, strict=True)
    )
    parity = check_parity(LiveEndpoint(url, ZERO_SHOT, KEY), recorded, reading_of(open_bundle(folder), folder))
    assert (parity.passed, parity.agreed) == (True, len(recorded))
    assert parity.largest_difference < 1e-4
    with client_of(url) as client:
        answer = chat(client, ZERO_SHOT, examples[0].text)
    assert answer["choices"][0]["message"]["content"] == predicted[0].answer
    assert answer["usage"]["prompt_tokens"] == predicted[0].prompt_tokens


def test_the_card_of_a_winner_that_asks_in_several_orders_says_so(run, tmp_path):
    folder = export(run, tmp_path / "bundle", strategy="zero-shot")
    assert open_bundle(folder).winner.rotations == 4
    assert "labels listed in 4 orders" in (folder / "README.md").read_text()


@pytest.mark.parametrize("model", [TASK, ZERO_SHOT])
def test_streams_say_the_label(url, run, in_several_orders, model):
    texts, rows = measured(run, "few-shot")
    labels = [row["prediction"] for row in rows]
    if model == ZERO_SHOT:
        texts, labels = [each.text for each in in_several_orders[0]], [each.answer for each in in_several_orders[1]]
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0) as client:
        for text, label in list(zip(texts, labels, strict=True))[:5]:
            chunks = list(client.chat.completions.create(model=model, messages=user(text), stream=True, logprobs=True))
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == label
            assert {chunk.model for chunk in chunks} == {model}
            assert chunks[-1].choices[0].finish_reason == "stop"
