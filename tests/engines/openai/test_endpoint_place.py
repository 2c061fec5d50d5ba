"""Which endpoints are on this machine, and that nothing sent to those takes a way over another one."""

import pytest

from llmtl.engines.openai.client import HostedClient, Question
from llmtl.engines.openai.config import EndpointConfig, HostedModel, on_this_machine
from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import HostedError
from llmtl.progress import unwatched
from tests.support.hosted_server import completion, hosted_server

QUESTION = Question([{"role": "user", "content": "hello"}], 4)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://127.3.2.1/v1",
        "http://[::1]:8000/v1",
        "http://localhost:8000/v1",
        "http://LOCALHOST./v1",
        "http://vllm.localhost/v1",
    ],
)
def test_loopback_addresses_are_on_this_machine(url):
    assert on_this_machine(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://0.0.0.0:8000/v1",
        "http://10.0.0.1:8000/v1",
        "http://192.168.1.5/v1",
        "http://127.0.0.1.example.com/v1",
        "http://127.0.0.1@example.com/v1",
        "http://localhost.example.com/v1",
        "http://notlocalhost/v1",
        "127.0.0.1:8000/v1",
        "",
    ],
)
def test_everything_else_is_not(url):
    assert not on_this_machine(url)


def ask(url):
    endpoint = EndpointConfig(base_url=url, model="m", api_key_env=None, max_retries=0)
    client = HostedClient(HostedModel(endpoint), ReplyCache())
    try:
        return client.ask([QUESTION], unwatched)
    finally:
        client.close()


def test_no_proxy_of_the_environment_stands_between(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nobody listens there
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with hosted_server(lambda body: completion("hi")) as server:
        assert ask(server.url)[0].text == "hi"


def test_no_redirection_leads_away():
    with hosted_server(lambda body: completion("hi")) as elsewhere:
        away = elsewhere.url.replace("127.0.0.1", "0.0.0.0") + "/chat/completions"
        with hosted_server(lambda body: (307, {"Location": away}, {})) as server, pytest.raises(HostedError):
            ask(server.url)
        assert elsewhere.bodies == []
