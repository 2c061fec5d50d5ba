import json

import pytest

from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import (
    ChatRequest,
    PredictRequest,
    RequestError,
    chat_request,
    parse_object,
    predict_request,
    requested_model,
    unknown_model,
)

LIMITS = RequestLimits(max_inputs=3, max_characters=20)
USER = {"role": "user", "content": "my card"}


def refusal(call, *arguments):
    with pytest.raises(RequestError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"\xff": 1}', "not UTF-8"),
        pytest.param(b"[" * 200_000, "nested too deeply", id="deep"),
        pytest.param(b'{"n": ' + b"9" * 5000 + b"}", "digits", id="digits"),
        (b'{"n": NaN}', "NaN"),
        (b'{"n": [-Infinity]}', "-Infinity"),
        (b'{"n": -1e999}', "-1e999"),
        (b"[1]", "a list"),
        (b'"text"', "text"),
        (b"3", "a number"),
        (b"null", "nothing"),
    ],
)
def test_what_is_no_json_object_is_refused(body, reason):
    error = refusal(parse_object, body)
    assert (error.status, error.code) == (400, "invalid_json")
    assert reason in str(error)
    assert str(error).endswith("send a JSON object.")


def test_a_json_object_is_read():
    assert parse_object(b' {"a": "\xc3\xa9"} ') == {"a": "é"}


@pytest.mark.parametrize("body", [{}, {"model": None}, {"model": ""}, {"model": 3}])
def test_a_chat_request_must_name_a_model(body):
    error = refusal(requested_model, body, ("tickets", "base"))
    assert (error.status, error.param) == (400, "model")
    assert "one of 'tickets', 'base'" in str(error)


def test_an_unknown_model_is_refused_with_the_names_there_are():
    error = unknown_model("gpt-5", ("tickets", "base"))
    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert str(error) == "The model 'gpt-5' does not exist; ask for one of 'tickets', 'base'."


def test_a_message_is_read_with_the_fields_that_may_pass():
    body = {
        "model": "tickets",
        "messages": [USER],
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 2,
        "seed": 1,
        "user": "u",
        "return_prompt_text": None,
        "temperature": 1.5,
        "max_tokens": 1,
        "stop": ["a"],
        "logit_bias": {"5": 100},
        "structured_outputs": {"choice": ["x"]},
        "chat_template": "{{ 1 }}",
        "chat_template_kwargs": {"raw": True},
        "min_tokens": 50,
        "n": 1,
        "tools": [],
        "tool_choice": "auto",
    }
    assert chat_request(body, LIMITS) == ChatRequest(
        "my card",
        {
            "stream": True,
            "stream_options": {"include_usage": True},
            "logprobs": True,
            "top_logprobs": 2,
            "user": "u",
            "seed": 1,
        },
        stop=("a",),
    )


TURNS = [
    {"role": "system", "content": "Answer in French."},
    {"role": "developer", "content": [{"type": "text", "text": "x"}]},
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "tool", "content": "3", "tool_call_id": "a"},
]


def test_of_a_conversation_the_last_message_is_answered():
    assert chat_request({"messages": [*TURNS, USER]}, LIMITS) == chat_request({"messages": [USER]}, LIMITS)
    assert chat_request({"messages": [USER, USER, USER]}, LIMITS).text == "my card"


@pytest.mark.parametrize(
    ("fields", "n", "stop"),
    [
        ({}, 1, ()),
        ({"n": None, "stop": None}, 1, ()),
        ({"n": 128, "stop": "x"}, 128, ("x",)),
        ({"stop": ["a", "b", "c", "d"]}, 1, ("a", "b", "c", "d")),
        ({"stop": []}, 1, ()),
    ],
)
def test_how_often_and_how_far_an_answer_is_told(fields, n, stop):
    request = chat_request({"messages": [USER], **fields}, LIMITS)
    assert (request.n, request.stop) == (n, stop)


def test_text_parts_are_joined_as_vllm_does():
    parts = [{"type": "text", "text": "my"}, {"type": "text", "text": "card"}]
    assert chat_request({"messages": [{"role": "user", "content": parts}]}, LIMITS).text == "my\ncard"


@pytest.mark.parametrize(
    ("change", "param", "reason"),
    [
        ({"messages": None}, "messages", "not nothing"),
        ({"messages": "hello"}, "messages", "not text"),
        ({"messages": []}, "messages", "not an empty list"),
        ({"messages": ["hello"]}, "messages[0]", "not text"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "role null"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", 'role ["user"]'),
        (
            {"messages": [{"role": "robot", "content": "x"}, USER]},
            "messages[0].role",
            'role "robot"; it must be one of',
        ),
        ({"messages": [USER, {"role": "assistant", "content": "x"}]}, "messages[1].role", "must be the user's"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role", "must be the user's"),
        ({"messages": [*TURNS, {"role": "user"}]}, "messages[5].content", "not nothing"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "not nothing"),
        ({"messages": [{"role": "user", "content": {}}]}, "messages[0].content", "not an object"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]", "text only"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 3}]}]}, "messages[0].content[0]", "text"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]", "text only"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages", "empty"),
        ({"messages": [{"role": "user", "content": []}]}, "messages", "empty"),
        ({"messages": [{"role": "user", "content": " \n\t\u00a0"}]}, "messages", "empty"),
        ({"messages": [{"role": "user", "content": "x" * 21}]}, "messages", "21 characters and 20 are allowed"),
        ({"n": 0}, "n", "from 1 to 128"),
        ({"n": 129}, "n", "from 1 to 128"),
        ({"n": 1.0}, "n", "from 1 to 128"),
        ({"n": "1"}, "n", "from 1 to 128"),
        ({"n": True}, "n", "from 1 to 128"),
        ({"stop": ["a"] * 5}, "stop", "up to 4"),
        ({"stop": ""}, "stop", "none of them empty"),
        ({"stop": ["a", ""]}, "stop", "none of them empty"),
        ({"stop": 3}, "stop", "a text or a list"),
        ({"stop": [3]}, "stop", "a text or a list"),
        ({"tools": [{"type": "function"}]}, "tools", "calls no tools"),
        ({"functions": [{"name": "f"}]}, "functions", "calls no tools"),
        ({"tool_choice": "required"}, "tool_choice", "calls no tools"),
        ({"stream": "yes"}, "stream", "true or false, not text"),
        ({"logprobs": 5}, "logprobs", "true or false, not a number"),
        ({"stream_options": {}}, "stream_options", "for streams"),
        ({"stream": True, "stream_options": 5}, "stream_options", "an object, not a number"),
        ({"seed": "x"}, "seed", "a whole number, not text"),
        ({"seed": True}, "seed", "a whole number, not true or false"),
        ({"user": 5}, "user", "text, not a number"),
        ({"top_logprobs": 2}, "top_logprobs", "needs 'logprobs'"),
        ({"logprobs": True, "top_logprobs": -1}, "top_logprobs", "whole number"),
        ({"logprobs": True, "top_logprobs": 1.5}, "top_logprobs", "whole number"),
        ({"logprobs": True, "top_logprobs": True}, "top_logprobs", "whole number"),
    ],
)
def test_a_wrong_chat_request_is_refused(change, param, reason):
    error = refusal(chat_request, {"messages": [USER], **change}, LIMITS)
    assert (error.status, error.param, error.kind) == (400, param, "invalid_request_error")
    assert reason in str(error)


def test_inputs_are_read():
    assert predict_request({"inputs": ["a", "b"]}, LIMITS) == PredictRequest(("a", "b"), None)
    assert predict_request({"inputs": ["a"], "model": "tickets"}, LIMITS) == PredictRequest(("a",), "tickets")


@pytest.mark.parametrize(
    ("body", "param", "reason"),
    [
        ({}, "inputs", "not nothing"),
        ({"inputs": "a"}, "inputs", "a list of messages, not text"),
        ({"inputs": []}, "inputs", "has 0 messages; send 1 to 3"),
        ({"inputs": ["a"] * 4}, "inputs", "has 4 messages; send 1 to 3"),
        ({"inputs": ["a", 3]}, "inputs[1]", "not a number"),
        ({"inputs": ["a", None]}, "inputs[1]", "not nothing"),
        ({"inputs": ["a", " "]}, "inputs[1]", "empty"),
        ({"inputs": ["a", "b", "x" * 21]}, "inputs[2]", "21 characters"),
        ({"inputs": ["a"], "model": 3}, "model", "not a number"),
    ],
)
def test_wrong_inputs_are_refused(body, param, reason):
    error = refusal(predict_request, body, LIMITS)
    assert (error.status, error.param) == (400, param)
    assert reason in str(error)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"inputs": ["a", "a\ud83d"]}, "inputs[1]"),
        ({"messages": [USER, {"role": "user", "content": "\udc00"}]}, "messages[1].content"),
        ({"model": "\udbff"}, "model"),
        ({"user": {"a": {"\ud83d": 1}}}, "user.a"),
        ({"\ud83d": 1}, None),
    ],
)
def test_json_can_smuggle_half_a_surrogate_in_nowhere(body, param):
    error = refusal(parse_object, json.dumps(body).encode())
    assert (error.status, error.param) == (400, param)
    assert "surrogate" in str(error)


def test_a_whole_surrogate_pair_is_a_character():
    assert parse_object(b'{"a": "\\ud83d\\ude00", "b": "\\\\ud83d"}') == {"a": "\U0001f600", "b": "\\ud83d"}
