"""A winner asked with the labels in several orders, behind the middleware: both routes give the averaged answer."""

import json
import shutil
from dataclasses import replace

import pytest
from scipy.stats import gmean
from transformers import AutoTokenizer

from llmtl.engines.tokenizer import TokenizerWording
from llmtl.engines.tokens import encode
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import BUNDLE
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.requests import RequestError
from tests.serving.task_api.test_calibrated_answers import ask, chat
from tests.serving.task_api.test_predict_scoring import StandIn, predicted
from tests.support.small_bundle import LABELS, small_bundle

TOLD = "Which queue is it?"
TEXTS = [f"message {number}" for number in range(12)]
ORDERS = (LABELS, (*LABELS[1:], *LABELS[:1]), (*LABELS[3:], *LABELS[:3]))
"""Three rotations of five labels, which begin with labels 0, 1 and 3 (0, 5/3 and 10/3 rounded down)."""


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.fixture(scope="module")
def bundle():
    plain = small_bundle()
    return replace(plain, winner=replace(plain.winner, instruction=TOLD, demonstrations=(), rotations=3))


@pytest.fixture(scope="module")
def folder(bundle, tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rotated") / "bundle"
    shutil.copytree(tiny_llama, folder / "model")
    (folder / "bundle.json").write_text(json.dumps(BUNDLE.dump_python(bundle, mode="json")))
    return folder


@pytest.fixture(scope="module")
def rows(bundle, tokenizer):
    """Return the averaged probabilities, worked out from three bundles that list the labels in one order each."""
    singles = []
    for order in ORDERS:
        task = replace(bundle.task, labels=order)
        single = replace(bundle, task=task, winner=replace(bundle.winner, rotations=1))
        singles.append(predicted(single, tokenizer, StandIn(), TEXTS))
    found = []
    for row in zip(*singles, strict=True):
        means = {label: gmean([each.fields["probabilities"][label] for each in row]) for label in LABELS}
        found.append({label: mean / sum(means.values()) for label, mean in means.items()})
    assert [max(each, key=each.get) for each in found] != [row.fields["label"] for row in singles[0]]
    return found


def test_predict_gives_the_mean_of_the_orders(folder, rows):
    [answer] = ask(folder, {"inputs": TEXTS}, path="/v1/predict")
    for row, expected in zip(answer.json()["data"], rows, strict=True):
        assert row["probabilities"] == pytest.approx(expected, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)


def test_chat_gives_the_same_label_whole_and_streamed(folder, rows):
    for text, expected in zip(TEXTS, rows, strict=True):
        label = max(expected, key=expected.get)
        whole, stream = ask(folder, chat(text, logprobs=True), chat(text, stream=True))
        assert whole.json()["choices"][0]["message"]["content"] == label
        chunks = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == label


def test_usage_counts_the_prompts_of_all_orders(folder, bundle, tokenizer):
    [answer] = ask(folder, chat("my card", return_prompt_text=True))
    prompts = [
        Template(replace(bundle.task, instruction=TOLD, labels=order), TokenizerWording(tokenizer)).prompt("my card")
        for order in ORDERS
    ]
    assert answer.json()["prompt_text"] == prompts[0]
    assert answer.json()["usage"]["prompt_tokens"] == sum(map(len, encode(tokenizer, prompts)))


def test_all_inputs_are_asked_in_one_order_before_the_next(bundle, tokenizer):
    app = StandIn()
    predicted(bundle, tokenizer, app, TEXTS)
    first = [ids for body in app.asked[:2] for ids in body["prompt"]][: 3 * len(TEXTS)]
    wording, told = TokenizerWording(tokenizer), replace(bundle.task, instruction=TOLD)
    prompts = [Template(replace(told, labels=order), wording).prompt(text) for order in ORDERS for text in TEXTS]
    assert first[: len(TEXTS)] == encode(tokenizer, prompts[: len(TEXTS)])
    assert sorted(first) == sorted(encode(tokenizer, prompts))


def test_averaging_comes_before_calibration(bundle, tokenizer, rows):
    calibration = LabelCalibration(Method.AFFINE, (1.0, 0.5, 2.0, 1.0, 1.5), (0.0, 3.0, -1.0, 1.0, 0.5))
    both = replace(bundle.winner, calibration=calibration)
    for row, expected in zip(predicted(bundle, tokenizer, StandIn(), TEXTS, both), rows, strict=True):
        label, probabilities = calibration.label(expected)
        assert row.fields["label"] == label
        assert row.fields["probabilities"] == pytest.approx(probabilities, abs=1e-4)


def test_a_message_must_fit_in_every_order(bundle, tokenizer):
    conversations = Conversations(bundle, tokenizer)
    lengths = {}
    for size in range(300, 500):
        text = "7" * size
        prompts = [
            Template(replace(bundle.task, instruction=TOLD, labels=order), TokenizerWording(tokenizer)).prompt(text)
            for order in ORDERS
        ]
        lengths[size] = max(map(len, encode(tokenizer, prompts)))
    fits = max(size for size, length in lengths.items() if length <= conversations.room)
    conversations.check_length(bundle.winner, "7" * fits, "messages")
    assert len(conversations.tokens(bundle.winner, "7" * fits, "messages")) == 3
    for check in (conversations.check_length, conversations.tokens):
        with pytest.raises(RequestError, match=f"a prompt of {lengths[fits + 1]} tokens"):
            check(bundle.winner, "7" * (fits + 1), "messages")


def test_a_manifest_is_read_back_and_one_without_rotations_asks_once(bundle):
    kept = BUNDLE.dump_python(bundle, mode="json")
    assert BUNDLE.validate_python(kept).winner.rotations == 3
    del kept["winner"]["rotations"]
    older = BUNDLE.validate_python(kept).winner
    assert (older.rotations, older.by_scores) == (1, False)
