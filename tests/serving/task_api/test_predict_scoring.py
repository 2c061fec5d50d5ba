"""The way down the trie, against a stand-in for vLLM whose probabilities are known."""

import asyncio
import json
import math

import numpy as np
import pytest
from transformers import AutoTokenizer

from llmtl.engines.tokens import continuations, encode
from llmtl.engines.vllm.branches import NEGLIGIBLE
from llmtl.prompting.retrieval import Retriever
from llmtl.serving.task_api.conversations import Conversations
from llmtl.serving.task_api.requests import RequestError
from llmtl.serving.task_api.scoring import Scorer, UpstreamError
from llmtl.task import Example
from tests.support.small_bundle import LABELS, small_bundle

SCOPE = {"type": "http", "method": "POST", "path": "/v1/predict", "headers": [], "root_path": ""}


@pytest.fixture(scope="module")
def tokenizer(tiny_llama):
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.fixture(scope="module")
def bundle():
    return small_bundle()


class StandIn:
    """Answers completions requests with a logit that depends on the token and on all tokens before it."""

    def __init__(self, *, spread=3.0, status=200, forget=False):
        self.asked = []
        self.spread, self.status, self.forget = spread, status, forget

    def logprobs(self, prompt, children):
        logits = np.array([self.spread * math.sin(hash((tuple(prompt), child))) for child in children])
        return logits - np.log(np.exp(logits).sum())

    async def __call__(self, scope, receive, send):
        assert scope["path"] == "/v1/completions"
        body = json.loads((await receive())["body"])
        self.asked.append(body)
        children = body["allowed_token_ids"]
        choices = []
        for index, prompt in enumerate(body["prompt"]):
            told = dict(zip((f"token_id:{child}" for child in children), self.logprobs(prompt, children), strict=True))
            if self.forget:
                told.popitem()
            choices.append({"index": index, "logprobs": {"top_logprobs": [told]}})
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": self.status, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": json.dumps({"choices": choices[::-1]}).encode()})


def predicted(bundle, tokenizer, app, texts, strategy=None):
    pool = [Example("2", "my money", "refund"), Example("3", "where is it", "card arrival")]
    scorer = Scorer(app, Conversations(bundle, tokenizer, Retriever(pool)), bundle.task.labels)
    return asyncio.run(scorer.predict(SCOPE, strategy or bundle.winner, texts))


def test_probabilities_are_products_along_the_way(bundle, tokenizer):
    app = StandIn()
    texts = [f"message {number}" for number in range(70)]
    rows = predicted(bundle, tokenizer, app, texts)
    template = Conversations(bundle, tokenizer).template
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    assert {len(body["prompt"]) for body in app.asked} == {32, 6}
    for text, row in zip(texts, rows, strict=True):
        prompt = template.prompt(text, bundle.winner.demonstrations)
        [ids] = encode(tokenizer, [prompt])
        paths = [(*path, end) for path in continuations(tokenizer, prompt, template.answers())]
        expected = {}
        for label, path in zip(LABELS, paths, strict=True):
            logprob = 0.0
            for depth, token in enumerate(path):
                children = list(dict.fromkeys(other[depth] for other in paths if other[:depth] == path[:depth]))
                if len(children) > 1:
                    logprob += app.logprobs([*ids, *path[:depth]], children)[children.index(token)]
            expected[label] = math.exp(logprob)
        assert row.fields["probabilities"] == pytest.approx(expected, abs=1e-9)
        assert sum(expected.values()) == pytest.approx(1.0)
        assert row.prompt_tokens == len(ids)
    assert len({row.fields["label"] for row in rows}) > 1


def test_the_label_is_the_greedy_one_even_where_another_is_likelier(bundle, tokenizer):
    class Leaning(StandIn):
        def logprobs(self, prompt, children):
            # "refund" alone against all that begin with "card": 0.4 to 0.6; then evenly among those
            return np.log([0.6, 0.4] if len(self.asked) == 1 else np.full(len(children), 1 / len(children)))

    [row] = predicted(bundle, tokenizer, Leaning(), ["x"])
    probabilities = row.fields["probabilities"]
    assert probabilities["refund"] == pytest.approx(0.4)
    assert max(probabilities, key=probabilities.get) == "refund"
    assert row.fields["label"].startswith("card")


def test_branches_that_cannot_matter_are_not_asked(bundle, tokenizer):
    app = StandIn(spread=0.0)
    predicted(bundle, tokenizer, app, ["x"])
    branches = len(app.asked)

    class Sure(StandIn):
        def logprobs(self, prompt, children):
            return np.log([1e-9, 1 - 1e-9] if len(self.asked) == 1 else np.full(len(children), 1 / len(children)))

    app = Sure()
    [row] = predicted(bundle, tokenizer, app, ["x"])
    assert (len(app.asked), branches > 1) == (1, True)
    assert row.fields["label"] == "refund"
    assert sum(row.fields["probabilities"].values()) == pytest.approx(1.0)
    assert max(value for label, value in row.fields["probabilities"].items() if label != "refund") < NEGLIGIBLE


def test_retrieved_demonstrations_are_dropped_until_the_prompt_fits(bundle, tokenizer):
    [knn] = bundle.others
    index = Retriever([Example("2", "short", "refund"), Example("3", "é" * 300, "card")])
    conversations = Conversations(bundle, tokenizer, index)
    assert {each.id for each in conversations.demonstrations(knn, "shorter")} == {"2"}
    assert conversations.demonstrations(knn, "x" * 400 + "é" * 20) == ()
    with pytest.raises(RequestError, match=r"of \d+ tokens; the model's context of 512 tokens leaves room for \d+"):
        conversations.check_length(knn, "é" * 300, "messages")


@pytest.mark.parametrize("text", ["x", "x" * 150, "x" * 490, "é" * 100, "é" * 250, "<|end|>" * 40])
def test_the_quick_check_agrees_with_counting(bundle, tokenizer, text):
    conversations = Conversations(bundle, tokenizer)
    length = len(encode(tokenizer, [conversations.template.prompt(text, bundle.winner.demonstrations)])[0])
    if length <= conversations.room:
        conversations.check_length(bundle.winner, text, "messages")
        assert [len(each.ids) for each in conversations.tokens(bundle.winner, text, "messages")] == [length]
    else:
        for check in (conversations.check_length, conversations.tokens):
            with pytest.raises(RequestError, match=f"a prompt of {length} tokens"):
                check(bundle.winner, text, "messages")


def test_an_error_of_vllm_is_passed_on_in_one_piece(bundle, tokenizer):
    with pytest.raises(UpstreamError) as caught:
        predicted(bundle, tokenizer, StandIn(status=503), ["x"] * 40)
    assert (caught.value.answer.status, caught.value.answer.headers) == (503, ((b"a", b"b"),))


def test_a_server_that_hides_probabilities_is_told_what_to_do(bundle, tokenizer):
    with pytest.raises(RequestError, match="--logprobs-mode processed_logprobs and --max-logprobs 2") as caught:
        predicted(bundle, tokenizer, StandIn(forget=True), ["x"])
    assert caught.value.status == 500


def test_a_text_that_does_not_fit_is_named_before_anything_is_asked(bundle, tokenizer):
    app = StandIn()
    with pytest.raises(RequestError) as caught:
        predicted(bundle, tokenizer, app, ["x"] * 40 + ["é" * 600])
    assert (caught.value.param, caught.value.code) == ("inputs[40]", "context_length_exceeded")
    assert app.asked == []
