"""What vLLM 0.32.0 says when its engine has died, as clients are told it."""

import json

import pytest
from starlette.responses import JSONResponse, StreamingResponse

from llmtl.serving.task_api.middleware import TaskMiddleware
from tests.support.kept_bundles import asked, written
from tests.support.live_bundle import error_of
from tests.support.small_bundle import small_bundle

DEAD = {
    "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
    "type": "InternalServerError",
    "param": None,
    "code": 500,
}
CHUNK = {"object": "chat.completion.chunk", "model": "tickets", "choices": [{"index": 0, "delta": {"content": ""}}]}
CHAT = {"model": "tickets", "messages": [{"role": "user", "content": "my card"}]}


def event(value):
    return f"data: {json.dumps(value)}\n\n"


class Dying:
    """vLLM's application after its engine has died, or while it dies."""

    def __init__(self, *pieces, error=DEAD):
        self.pieces, self.error = pieces, error

    async def __call__(self, scope, receive, send):
        answer = JSONResponse({"error": self.error}, 500)
        if self.pieces:
            answer = StreamingResponse(iter(self.pieces), media_type="text/event-stream")
        await answer(scope, receive, send)


@pytest.fixture(scope="module")
def folder(tiny_llama, tmp_path_factory):
    return str(written(small_bundle(), tiny_llama, tmp_path_factory.mktemp("dead") / "bundle"))


@pytest.fixture
def answer(folder):
    """Return what a request comes to when vLLM answers as told."""

    def ask(app, route="/v1/chat/completions", **body):
        app = TaskMiddleware(app, {"LLMTL_BUNDLE": folder})
        [found] = asked(app, ("POST", route, {"json": body or CHAT}), url="http://127.0.0.1:8000")
        assert "stack trace" not in found.text
        return found

    return ask


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/predict", {"inputs": ["my card"]}),
        ("/v1/completions", {"model": "other", "prompt": "x"}),
    ],
)
def test_a_failure_is_503_and_when_to_try_again(answer, route, body):
    found = answer(Dying(), route, **body)
    assert error_of(found, 503)["code"] == "engine_failed"
    assert found.headers["retry-after"] == "5"


def test_a_stream_that_never_began_is_503_too(answer):
    found = answer(Dying(event({"error": DEAD}), "data: [DONE]\n\n"), **CHAT, stream=True)
    assert error_of(found, 503)["code"] == "engine_failed"


def test_a_stream_that_began_ends_with_the_error(answer):
    found = answer(Dying(event(CHUNK), event({"error": DEAD}), "data: [DONE]\n\n"), **CHAT, stream=True)
    first, last, done, _ = found.text.split("\n\n")
    assert (found.status_code, done) == (200, "data: [DONE]")
    assert json.loads(first.removeprefix("data: "))["object"] == "chat.completion.chunk"
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_failed"


def test_other_failures_stay_what_they_are(answer):
    found = answer(Dying(error={**DEAD, "message": "Internal server error"}))
    assert error_of(found, 500)["message"] == "Internal server error"
