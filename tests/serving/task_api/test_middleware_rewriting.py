import json

import pytest
from transformers import AutoTokenizer

from llmtl.engines.tokens import continuations
from llmtl.prompting.retrieval import Retriever
from llmtl.serving.bundle.manifest import Output
from llmtl.serving.task_api.catalogue import Catalogue
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import ChatRequest
from llmtl.serving.task_api.rewriting import ChatRewriter, without_wording
from llmtl.task import Example
from tests.support.small_bundle import LABELS, small_bundle

POOL = [Example("2", "my money", "refund"), Example("3", "where is it", "card arrival")]


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.fixture(scope="module")
def base_tokenizer(tiny_base):
    return AutoTokenizer.from_pretrained(tiny_base)


def body(tokenizer, which="winner", passed=None, **changes):
    bundle = small_bundle(**changes)
    strategy = bundle.winner if which == "winner" else bundle.others[0]
    conversations = Conversations(bundle, tokenizer, Retriever(POOL))
    return json.loads(ChatRewriter(bundle, conversations).body(strategy, ChatRequest("hello", passed or {})))


def test_the_winner_gets_the_message_as_it_is(tokenizer):
    assert body(tokenizer, answer_tokens=(3, 4), end_token=1, passed={"stream": True}) == {
        "stream": True,
        "model": "tickets",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0,
        "structured_outputs": {"choice": list(LABELS)},
        "allowed_token_ids": [3, 4],
        "stop_token_ids": [1],
    }


def test_a_retrieving_strategy_gets_the_whole_conversation(tokenizer):
    sent = body(tokenizer, "knn", answer_tokens=(3, 4))
    assert (sent["model"], sent["chat_template_kwargs"]) == ("tiny", {"raw": True})
    assert [turn["role"] for turn in sent["messages"]] == ["system", *["user", "assistant"] * 2, "user"]
    assert {turn["content"] for turn in sent["messages"]} >= {"my money", "where is it", "refund", "card arrival"}
    assert sent["messages"][-1] == {"role": "user", "content": "hello"}


def test_a_model_without_chat_template_gets_the_finished_prompt(base_tokenizer):
    sent = body(base_tokenizer, "knn")
    [turn] = sent["messages"]
    assert turn["content"].startswith("<|bos|>Classify the message.")
    assert turn["content"].endswith("Message: hello\nLabel:")


def test_allowed_tokens_are_found_for_each_prompt_where_they_vary(tokenizer):
    sent = body(tokenizer)
    conversations = Conversations(small_bundle(), tokenizer)
    prompt = conversations.template.prompt("hello", small_bundle().winner.demonstrations)
    paths = continuations(tokenizer, prompt, LABELS)
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    assert sent["allowed_token_ids"] == sorted({token for path in paths for token in path} | {end})


@pytest.mark.parametrize(
    ("output", "fields"),
    [
        (
            Output("json", {"type": "array"}, "root ::= x", 9),
            {"structured_outputs": {"grammar": "root ::= x"}, "max_tokens": 9},
        ),
        (Output("text", max_tokens=7), {"max_tokens": 7}),
        (Output("text", max_tokens=7, stop="\n\n"), {"max_tokens": 7, "stop": ["\n\n"]}),
    ],
)
def test_other_forms_of_answers(tokenizer, output, fields):
    sent = body(tokenizer, output=output)
    assert {name: value for name, value in sent.items() if name not in ("model", "messages")} == {
        "temperature": 0,
        **fields,
    }


def test_where_a_client_wants_an_answer_to_end_goes_on_but_never_with_labels(tokenizer):
    def stop(output):
        bundle = small_bundle(output=output, answer_tokens=(3,))
        request = ChatRequest("hello", {}, stop=("a", "b"))
        return json.loads(ChatRewriter(bundle, Conversations(bundle, tokenizer)).body(bundle.winner, request)).get(
            "stop"
        )

    assert stop(Output("text", max_tokens=7)) == ["a", "b"]
    assert stop(Output("text", max_tokens=7, stop="c")) == ["c", "a", "b"]
    assert stop(Output()) is None


@pytest.mark.parametrize(
    ("given", "wanted"), [({}, {"raw": True}), ({"a": 1}, {"a": 1, "raw": True}), ("nonsense", "nonsense")]
)
def test_the_wording_is_turned_off_for_the_base_model(given, wanted):
    request = {"model": "tiny", "temperature": 1.5} | ({"chat_template_kwargs": given} if given else {})
    assert json.loads(without_wording(request)) == {**request, "chat_template_kwargs": wanted}


def test_the_names_and_the_task():
    catalogue = Catalogue(small_bundle())
    assert (catalogue.base, catalogue.names) == ("tiny", ("tickets", "tickets/knn", "tiny"))
    assert catalogue.describe("vllm 1", RequestLimits(max_inputs=2)) == {
        "object": "task",
        "task": "tickets",
        "kind": "classification",
        "labels": list(LABELS),
        "instruction": "Classify the message. Answer with one label.",
        "model": "tickets",
        "strategy": "few-shot",
        "engine": "vllm 1",
        "strategies": [
            {"model": "tickets", "strategy": "few-shot", "weights": "base"},
            {"model": "tickets/knn", "strategy": "knn-few-shot", "weights": "base"},
        ],
        "base_model": "tiny",
        "output": "label",
        "limits": {"max_body_bytes": 2**20, "max_inputs": 2, "max_characters": 100_000, "context_length": 512},
        "verdict": "adopt",
        "abstains": None,
    }
