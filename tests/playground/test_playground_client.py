"""What a visitor reads when the endpoint answers badly or not at all; good answers are asked for in tests/browser."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from urllib.request import proxy_bypass_environment

import pytest

from llmtl.address import without_proxy
from llmtl.errors import ServingError
from llmtl.playground import http_client
from llmtl.playground.http_client import Endpoint, RefusedError
from tests.support.canned_server import canned

TASK = {"task": "t", "model": "t", "strategy": "tfidf", "labels": ["a", "b"], "unknown": 1}
OPENAI_ERROR = {"error": {"message": "The message\nis too long; shorten it.", "type": "x", "param": None, "code": "y"}}


@pytest.fixture
def answering():
    """Return a function that starts a server giving one canned answer to everything and returns its address."""
    with ExitStack() as servers:
        yield lambda status, body, **settings: servers.enter_context(canned(status, body, **settings))


@pytest.fixture
def endpoint():
    """Return a function from an address to its endpoint; every endpoint is closed afterwards."""
    opened = []

    def connect(url, key=None):
        opened.append(Endpoint(url, key))
        return opened[-1]

    yield connect
    for each in opened:
        each.close()


def test_the_task_is_read_and_what_is_unknown_ignored(answering, endpoint):
    task = endpoint(answering(200, TASK)).task()
    assert (task.task, task.labels, task.strategies, dict(task.limits)) == ("t", ("a", "b"), (), {})


@pytest.mark.parametrize("given", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_address_may_leave_out_its_end(endpoint, given):
    assert endpoint(given).base_url == "http://h:1/v1"


def test_nothing_listening_is_said_with_the_address(endpoint):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(ServingError, match=rf"No server answers at {url}; start it with `llmtl serve`"):
        endpoint(url).task()


def test_a_server_that_hangs_is_given_up(answering, endpoint, monkeypatch):
    monkeypatch.setattr(http_client, "ANSWER_SECONDS", 0.2)
    with pytest.raises(ServingError, match="did not answer in time"):
        endpoint(answering(200, TASK, seconds=30)).task()


@pytest.mark.parametrize(
    ("status", "body", "error", "line"),
    [
        (401, {"error": "Unauthorized"}, ServingError, "wants another API key; set LLMTL_API_KEY"),
        (400, OPENAI_ERROR, RefusedError, r"^The message is too long; shorten it\.$"),
        (404, {"detail": "Not Found"}, RefusedError, "^Not Found$"),
        (418, b"", RefusedError, r"The server refused the request \(418\)"),
        (500, {"error": {"message": "engine died"}}, ServingError, r"failed \(500: engine died\)"),
        (503, b"<html>", ServingError, r"failed \(503: .*\); try again"),
        (200, b"{broken", ServingError, "llmtl"),
        (200, {"data": 3}, ServingError, "is not a task served by llmtl"),
    ],
)
def test_every_bad_answer_becomes_one_line(answering, endpoint, status, body, error, line):
    url = answering(status, body)
    with pytest.raises(error, match=line) as predicting:
        endpoint(url).predict(["x"], "t")
    assert type(predicting.value) is error
    with pytest.raises(ServingError) as chatting:
        endpoint(url).answer("x", "t")
    for caught in (predicting, chatting):
        assert "\n" not in str(caught.value)


def test_too_few_answers_are_not_taken_for_all(answering, endpoint):
    url = answering(200, {"data": [{"label": "a", "probabilities": {"a": 1.0}}]})
    with pytest.raises(ServingError, match="answered 1 of 2 inputs"):
        endpoint(url).predict(["x", "y"], "t")


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_stands_before_this_machine(answering, endpoint, monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert endpoint(answering(200, TASK)).task().task == "t"
    with without_proxy():
        assert proxy_bypass_environment("127.0.0.1")
    assert not proxy_bypass_environment("127.0.0.1")


def test_a_proxy_that_cannot_be_used_keeps_no_playground_away():
    environment = {**os.environ, "ALL_PROXY": "socks5://127.0.0.1:9", "NO_PROXY": "", "no_proxy": ""}
    code = "import sys; sys.modules['socksio'] = None; from llmtl.playground import launch; from os import environ; "
    code += "print(environ['NO_PROXY'])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
