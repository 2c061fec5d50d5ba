"""`llmtl serve`: what its options say, and values that are refused."""

from pathlib import Path

import pytest

from llmtl.cli.entry import _parse
from llmtl.cli.serve import _serve_options
from llmtl.errors import InputError
from llmtl.serving.server.options import RestartPolicy, ServeOptions
from llmtl.serving.task_api.access import Access
from llmtl.serving.task_api.interface import RequestLimits
from tests.support.cli_checks import refused


def options_of(*arguments: str) -> ServeOptions:
    return _serve_options(_parse(["serve", "run", *arguments]))


@pytest.fixture(autouse=True)
def without_key(monkeypatch: pytest.MonkeyPatch):
    for name in ("LLMTL_API_KEY", "VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_options_it_serves_as_the_options_say():
    assert options_of() == ServeOptions()


def test_every_option_is_read():
    given = options_of(
        *("--host", "0.0.0.0", "--port", "0", "--no-playground", "--api-key", "k", "--gate", "all", "--accept-drift"),
        *("--no-measure", "--max-restarts", "0", "--share", "--max-body-bytes", "5", "--max-inputs", "6"),
        *("--max-characters", "7", "--allowed-hosts", "a.example,b.example", "--allowed-origins", "https://a.example"),
        *("--", "--max-model-len", "512"),
    )
    assert given == ServeOptions(
        host="0.0.0.0",
        port=0,
        playground_port=None,
        api_key="k",
        gate=None,
        accept_drift=True,
        measure=False,
        share=True,
        limits=RequestLimits(5, 6, 7),
        access=Access("a.example,b.example", "https://a.example"),
        restarts=RestartPolicy(max_restarts=0),
        extra=("--max-model-len", "512"),
    )


def test_the_playground_has_an_address_of_its_own():
    given = options_of("--host", "0.0.0.0")
    assert (given.host, given.playground_host) == ("0.0.0.0", "127.0.0.1")
    assert options_of("--playground-host", "::1").playground_host == "::1"


def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLLM_API_KEY", "second")
    assert options_of().api_key == "second"
    monkeypatch.setenv("LLMTL_API_KEY", "first")
    assert options_of().api_key == "first"
    assert options_of("--api-key", "given").api_key == "given"
    with pytest.raises(InputError, match="is empty, which would let everybody in"):
        options_of("--api-key", "")  # of a variable that is not set, say: the environment's are not meant


@pytest.mark.parametrize(
    "arguments",
    [("--port", "70000"), ("--gate", "0"), ("--gate", "some"), ("--port", "http"), ("--max-inputs", "0")],
)
def test_values_out_of_range(here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, str]):
    line = refused(capsys, "run", *arguments, command="serve")
    assert f"'{arguments[0].removeprefix('--').replace('-', '_')}'" in line
    assert arguments[1] in line


def test_what_llmtl_sets_itself_is_not_passed_on(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "'--model' cannot be passed on" in refused(capsys, "run", "--", "--model", "x", command="serve")
