"""Bodies on the routes that are vLLM's own: it reads what was looked into; what nobody can read stops here."""

import json

import pytest
from starlette.requests import Request
from starlette.responses import Response

from llmtl.serving.task_api.middleware import TaskMiddleware
from tests.support.kept_bundles import asked, written
from tests.support.live_bundle import error_of
from tests.support.small_bundle import small_bundle

COMPLETIONS = "/v1/completions"
JSON = "application/json"


async def reading(scope, receive, send):
    """Answer with the body, as vLLM's routes would read it."""
    await Response(await Request(scope, receive).body())(scope, receive, send)


@pytest.fixture(scope="module")
def app(tiny_llama, tmp_path_factory):
    folder = written(small_bundle(), tiny_llama, tmp_path_factory.mktemp("small") / "bundle")
    return TaskMiddleware(reading, {"LLMTL_BUNDLE": str(folder)})


def sent(app, body, kind=JSON, path=COMPLETIONS):
    headers = {"Content-Type": kind} if kind else {}
    [answer] = asked(app, ("POST", path, {"content": body, "headers": headers}))
    return answer


@pytest.mark.parametrize(
    ("body", "param", "reason"),
    [
        (b'{"model": "tickets", "user": "\\ud800"}', "user", "half of a surrogate pair"),
        ('{"model": "tickets"}'.encode("utf-16"), None, "not UTF-8"),
        (b'{"a": ' * 10_000, None, "nested too deeply"),
        (b'{"model": "other", "repetition_penalty": NaN}', None, "NaN"),
        (b'{"model": "other", "seed": 1' + b"0" * 4_400 + b"}", None, "digits"),
        (b'{"model": "other", "model": "tickets"}', "model", "does not serve the task model"),
        (b"[1]", None, "a list"),
        (b"\x1f\x8b\x08\x00", None, "not UTF-8"),
    ],
)
def test_json_that_would_be_read_otherwise_there_is_refused(app, body, param, reason):
    error = error_of(sent(app, body), 400)
    assert error["param"] == param
    assert reason in error["message"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (json.dumps({"model": "other", "prompt": "x"}).encode(), JSON),
        (b"", JSON),
        (b"--a\r\nContent-Disposition: form-data; name=x\r\n\r\n\xff\r\n--a--\r\n", "multipart/form-data; boundary=a"),
        (b"\xff\xfe", None),
    ],
)
def test_all_else_gets_there_as_it_is(app, body, kind):
    answer = sent(app, body, kind, "/v1/audio/transcriptions")
    assert (answer.status_code, answer.content) == (200, body)


def test_what_begins_as_json_is_looked_into_whatever_it_is_called(app):
    assert (
        error_of(sent(app, b' {"model": "tickets"}', "text/plain", "/invocations"), 400)["code"] == "unsupported_route"
    )
