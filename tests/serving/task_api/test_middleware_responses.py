import asyncio
import json

import pytest

from llmtl.serving.bundle.manifest import ServedStrategy, Weights
from llmtl.serving.task_api.answer_format import Notation, Saying
from llmtl.serving.task_api.requests import RequestError
from llmtl.serving.task_api.responses import Change, error_response, labelled, predictions_response, rewriting

LABELS = {" pay": "payment", " pay back": "refund"}
JSON = [(b"content-type", b"application/json"), (b"content-length", b"1"), (b"x", b"y")]
EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def completion(content):
    return {
        "id": "c",
        "model": 'old "name"',
        "choices": [{"message": {"content": content}, "logprobs": {"content": [{"token": content}]}}],
    }


def chunk(content, finish=None):
    return {"model": "old", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


def sent(headers, *bodies, status=200, **wanted):
    """Return the messages that a client gets for a response."""
    got = []

    async def send(message):
        got.append(message)

    async def respond():
        change = Change(**{name: value for name, value in wanted.items() if name != "model"})
        rewritten = rewriting(send, model=wanted.get("model"), change=change)
        await rewritten({"type": "http.response.start", "status": status, "headers": headers})
        for position, body in enumerate(bodies, 1):
            more = position < len(bodies)
            await rewritten({"type": "http.response.body", "body": body, "more_body": more})

    asyncio.run(respond())
    return got


def events(messages):
    return b"".join(message.get("body", b"") for message in messages).decode().split("\n\n")


def test_the_model_is_named_as_the_client_did_and_nothing_else_changes():
    said = 'I say {"model":"old"} and é'
    whole = compact(completion(said))
    start, body = sent(JSON, whole[:20], whole[20:], model='task/"x" é')
    assert json.loads(body["body"]) == {**completion(said), "model": 'task/"x" é'}
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert start["headers"][0] == JSON[0]


def test_answers_become_labels():
    _, body = sent(JSON, compact(completion(" pay back")), parse=LABELS.get)
    answer = json.loads(body["body"])
    assert answer["choices"][0]["message"]["content"] == "refund"
    assert answer["choices"][0]["logprobs"]["content"][0]["token"] == " pay back"


@pytest.mark.parametrize("content", ["something", None, ""])
def test_an_answer_that_is_no_label_stays(content):
    _, body = sent(JSON, compact(completion(content)), parse=LABELS.get)
    assert json.loads(body["body"])["choices"][0]["message"]["content"] == content


def test_errors_pass_as_they_are():
    body = compact({"error": {"message": "no"}, "model": "old"})
    messages = sent(JSON, body, status=400, model="new", parse=LABELS.get)
    assert messages[0]["headers"] == JSON
    assert messages[1]["body"] == body


def test_a_stream_is_renamed_as_it_comes():
    pieces = [b"data: " + compact(chunk(text)) + b"\n\n" for text in (" pay", " back")]
    messages = sent(EVENTS, *pieces, b"data: [DONE]\n\n", model="new")
    assert [message["type"] for message in messages] == ["http.response.start"] + 3 * ["http.response.body"]
    assert json.loads(messages[2]["body"][6:]) == {**chunk(" back"), "model": "new"}
    assert messages[3]["body"] == b"data: [DONE]\n\n"


@pytest.mark.parametrize("cut", [1, 7, 60, 200])
def test_a_streamed_answer_comes_as_a_label_wherever_the_stream_is_cut(cut):
    chunks = [chunk(""), chunk(" pay"), chunk(" back"), chunk("", "stop"), {"model": "old", "choices": [], "usage": {}}]
    stream = b": ping\n\n" + b"".join(b"data: " + compact(each) + b"\n\n" for each in chunks) + b"data: [DONE]\n\n"
    messages = sent(EVENTS, *(stream[at : at + cut] for at in range(0, len(stream), cut)), parse=LABELS.get)
    first, *rest, done, nothing = events(messages)
    assert (first, done, nothing) == (": ping", "data: [DONE]", "")
    read = [json.loads(event.removeprefix("data: ")) for event in rest]
    assert [each["choices"][0]["delta"]["content"] for each in read[:-1]] == ["", "", "", "refund"]
    assert read[-1] == chunks[-1]


@pytest.mark.parametrize("parse", [LABELS.get, None])
def test_an_answer_is_written_as_json_so_many_times_whole_and_streamed(parse):
    saying = Saying(Notation('{"a": ', "}", quoted=True), n=2)
    meant = "refund" if parse else " pay back"
    heard = []
    _, body = sent(JSON, compact(completion(" pay back")), parse=parse, saying=saying, hear=heard.append)
    choices = json.loads(body["body"])["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert [json.loads(choice["message"]["content"]) for choice in choices] == [{"a": meant}] * 2
    pieces = [b"data: " + compact(each) + b"\n\n" for each in (chunk(" pay"), chunk(" back", "stop"))]
    messages = sent(EVENTS, *pieces, b"data: [DONE]\n\n", parse=parse, saying=saying, hear=heard.append)
    read = [json.loads(event.removeprefix("data: ")) for event in events(messages)[:2]]
    for index in range(2):
        told = "".join(each["choices"][index]["delta"]["content"] for each in read)
        assert json.loads(told) == {"a": meant}
    assert heard == [" pay back"] * 2


def test_a_stream_that_is_only_heard_goes_out_as_it_comes():
    pieces = [b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n', b'data: {"choices": [{"delta": {}, ']
    pieces.append(b'"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
    heard = []
    messages = sent(EVENTS, *pieces, hear=heard.append)
    assert b"".join(message.get("body", b"") for message in messages) == b"".join(pieces)
    assert heard == ["a"]


def test_an_error_within_a_stream_passes():
    event = b'data: {"error":{"message":"engine died"}}\n\n'
    assert sent(EVENTS, event, parse=LABELS.get)[1]["body"] == event


def test_errors_have_openais_form():
    response = error_response(RequestError("No.", status=401, code="c", param="p", kind="k"))
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert json.loads(response.body) == {"error": {"message": "No.", "type": "k", "param": "p", "code": "c"}}


def test_predictions_are_numbered_and_tokens_added_up():
    rows = [labelled("a", {"a": 0.75, "b": 0.25}, 10), labelled("b", {"a": 0.0, "b": 1.0}, 5)]
    assert json.loads(predictions_response(ServedStrategy("few-shot", "m", "m", Weights.BASE), rows).body) == {
        "object": "list",
        "model": "m",
        "data": [
            {"index": 0, "label": "a", "probabilities": {"a": 0.75, "b": 0.25}},
            {"index": 1, "label": "b", "probabilities": {"a": 0.0, "b": 1.0}},
        ],
        "usage": {"prompt_tokens": 15, "total_tokens": 15},
    }
