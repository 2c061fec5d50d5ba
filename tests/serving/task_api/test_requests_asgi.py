import asyncio

import pytest

from llmtl.serving.task_api.asgi import (
    ApiKey,
    DisconnectedError,
    call,
    read_body,
    replay,
    together,
    unless_disconnected,
    with_json_body,
)
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.serving.task_api.requests import RequestError

LIMITS = RequestLimits(max_body_bytes=10)
SCOPE = {"type": "http", "method": "POST", "path": "/x", "root_path": "", "headers": []}


def scope(**headers):
    return {**SCOPE, "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]}


def receiver(*messages):
    waiting = list(messages)

    async def receive():
        return waiting.pop(0)

    receive.left = waiting
    return receive


def piece(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


GONE = {"type": "http.disconnect"}


def test_a_body_is_read_in_pieces():
    assert asyncio.run(read_body(SCOPE, receiver(piece(b"01234", True), piece(b"56789")), LIMITS)) == b"0123456789"


@pytest.mark.parametrize("declared", [{}, {"content_length": "3"}, {"content_length": "nonsense"}])
def test_a_body_is_counted_while_it_is_read(declared):
    receive = receiver(piece(b"012345", True), piece(b"678901", True), piece(b"never read"))
    with pytest.raises(RequestError, match="larger than 10 bytes") as caught:
        asyncio.run(read_body(scope(**declared), receive, LIMITS))
    assert (caught.value.status, caught.value.code) == (413, "request_too_large")
    assert len(receive.left) == 1


def test_a_body_that_says_it_is_too_big_is_not_read():
    receive = receiver(piece(b"0"))
    with pytest.raises(RequestError, match="larger"):
        asyncio.run(read_body(scope(content_length="11"), receive, LIMITS))
    assert len(receive.left) == 1


def test_a_client_that_leaves_while_sending_is_noticed():
    with pytest.raises(DisconnectedError):
        asyncio.run(read_body(SCOPE, receiver(piece(b"0", True), GONE), LIMITS))


def test_a_body_is_replayed_once_and_then_the_client_is_heard():
    async def both():
        receive = replay(b"abc", receiver(GONE))
        return await receive(), await receive()

    assert asyncio.run(both()) == (piece(b"abc"), GONE)


def test_the_headers_fit_the_new_body():
    changed = with_json_body(scope(content_length="99", content_type="text/plain", x="y"), b"{}")
    assert changed["headers"] == [(b"x", b"y"), (b"content-type", b"application/json"), (b"content-length", b"2")]


@pytest.mark.parametrize("sent", ["", "Bearer", "Bearer wrong", "Basic secret", "secret", "Bearer secret2", "Bearer é"])
def test_a_wrong_key_is_refused(sent):
    with pytest.raises(RequestError, match="missing or wrong") as caught:
        ApiKey("secret").check(scope(authorization=sent))
    assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


@pytest.mark.parametrize(
    ("key", "sent"), [("secret", "Bearer secret"), ("secret", "bearer  secret"), (None, ""), ("", "")]
)
def test_the_right_key_passes_and_so_does_everybody_without_one(key, sent):
    ApiKey(key).check(scope(authorization=sent))


def test_a_request_made_in_process_carries_only_what_it_should():
    seen = {}

    async def app(inner, receive, send):
        seen.update(inner, body=(await receive())["body"])
        inner["state"]["mine"] = True
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"on", "more_body": True})
        await send({"type": "http.response.body", "body": b"e"})

    outer = scope(authorization="Bearer k", x_request_id="1", content_length="77", host="h") | {
        "root_path": "/r",
        "query_string": b"a=1",
        "state": {},
    }
    answer = asyncio.run(call(app, outer, "/v1/completions", b"{}"))
    assert (answer.status, answer.headers, answer.body) == (201, ((b"a", b"b"),), b"one")
    assert (seen["path"], seen["raw_path"], seen["query_string"]) == ("/r/v1/completions", b"/r/v1/completions", b"")
    assert dict(seen["headers"]) == {
        b"authorization": b"Bearer k",
        b"host": b"h",
        b"content-type": b"application/json",
        b"content-length": b"2",
    }
    assert outer["state"] == {}


def test_a_client_that_leaves_ends_the_work_inside():
    left = []

    async def app(inner, receive, send):
        await receive()
        left.append((await receive())["type"])

    async def client():
        await asyncio.sleep(0.01)
        return GONE

    with pytest.raises(DisconnectedError):
        asyncio.run(unless_disconnected(client, call(app, SCOPE, "/x", b"")))
    assert left == ["http.disconnect"]


def test_work_that_is_done_first_gives_its_result_or_error():
    async def never():
        await asyncio.Event().wait()

    async def result():
        return 3

    async def failure():
        raise RequestError("no")

    assert asyncio.run(unless_disconnected(never, result())) == 3
    with pytest.raises(RequestError, match="no"):
        asyncio.run(unless_disconnected(never, failure()))


def test_the_first_failure_ends_the_other_work():
    ended = []

    async def failing():
        await asyncio.sleep(0.01)
        raise RequestError("no")

    async def endless():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async def both():
        with pytest.raises(RequestError):
            await together([failing(), endless()])
        await asyncio.sleep(0)

    asyncio.run(both())
    assert ended == [True]
