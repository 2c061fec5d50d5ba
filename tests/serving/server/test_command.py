import json
import shlex
import sys

import pytest

from llmtl.errors import BundleError, InputError
from llmtl.serving.bundle.manifest import BaseModel, Bundle, ServedStrategy, Weights
from llmtl.serving.server.options import RestartPolicy, ServeOptions
from llmtl.serving.server.server_command import server_command
from llmtl.serving.task_api.interface import RequestLimits
from llmtl.task import Task

BASE = BaseModel(
    name="base", source="model", hub=False, revision=None, licence="MIT", context_length=1024, dtype="bfloat16"
)
CONFIG = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}


def bundle(base=BASE, weights=Weights.ADAPTER):
    task = Task(name="tickets", labels=("a", "b"))
    winner = ServedStrategy(name="qlora", model="tickets", engine_model="tickets", weights=weights)
    return Bundle(
        task=task,
        winner=winner,
        others=(),
        base=base,
        answers=("a", "b"),
        answer_tokens=(1, 2, 3),
        lora_rank=16,
        created="2026-01-01T00:00:00+00:00",
        llmtl_version="0.1.0",
        verdict="adopt",
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


def value(command, flag):
    [given] = [each for each in command.argv if each.startswith(f"{flag}=")]
    return given.removeprefix(f"{flag}=")


def test_vllm_serves_where_the_user_said(folder):
    command = server_command(folder, bundle(), ServeOptions(host="0.0.0.0", port=9000), device="cuda")
    assert command.argv[:4] == (sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server")
    assert (value(command, "--host"), value(command, "--port")) == ("0.0.0.0", "9000")
    assert value(command, "--middleware") == "llmtl.serving.task_api.middleware.TaskMiddleware"
    assert value(command, "--allowed-origins") == "[]"
    assert value(command, "--model") == str(folder / "model")
    assert "--enforce-eager" not in command.argv
    assert command.environment["LLMTL_BUNDLE"] == str(folder)
    assert command.environment["HF_HUB_OFFLINE"] == command.environment["DO_NOT_TRACK"] == "1"
    assert "VLLM_CPU_KVCACHE_SPACE" not in command.environment


def test_behind_a_front_on_a_cpu_vllm_is_imported_beforehand(folder):
    def starts(device="cpu", socket=folder / "s" / "server", **restarts):
        options = ServeOptions(restarts=RestartPolicy(**restarts))
        command = server_command(folder, bundle(), options, device=device, socket=socket)
        return command.waits, command.argv[3 : 6 if command.waits else 4]

    vllm = "vllm.entrypoints.openai.api_server"
    assert starts() == (True, ("llmtl.serving.server.imported_vllm", str(folder / "s"), vllm))
    assert starts(no_spare=True) == starts(device="cuda") == starts(socket=None) == (False, (vllm,))


def test_a_cpu_gets_no_compilation_and_room_for_64_full_contexts(folder, monkeypatch):
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)
    (folder / "model" / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 4}))
    command = server_command(folder, bundle(), ServeOptions(), device="cpu")
    assert command.argv.count("--enforce-eager") == 1
    # keys and values of 4 layers, 8 heads of 128, 2 bytes each: 16 KiB a token; 64 x 1024 tokens are 1 GiB
    assert command.environment["VLLM_CPU_KVCACHE_SPACE"] == "1"


def test_the_user_s_own_cache_size_is_kept(folder, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    assert server_command(folder, bundle(), ServeOptions(), device="cpu").environment["VLLM_CPU_KVCACHE_SPACE"] == "7"


def test_the_api_key_is_in_the_environment_alone_and_masked_when_shown(folder):
    options = ServeOptions(api_key="secret-key")
    command = server_command(folder, bundle(), options, device="cuda")
    assert command.environment["VLLM_API_KEY"] == "secret-key"
    assert "secret-key" not in " ".join(command.argv)
    assert "secret-key" not in command.line()
    assert "secret-key" not in repr(options) + repr(command)


def test_the_line_is_what_a_shell_takes_apart_again(folder):
    command = server_command(folder, bundle(), ServeOptions(), device="cuda")
    words = shlex.split(command.line())
    assert words[:3] == ["cd", str(folder), "&&"]
    assert tuple(words[3 + len(command.environment) :]) == command.argv
    assert f"LLMTL_BUNDLE={folder}" in words


def test_limits_and_extra_arguments_are_passed_on(folder):
    options = ServeOptions(limits=RequestLimits(max_inputs=7), extra=("--max-model-len", "512"))
    command = server_command(folder, bundle(), options, device="cuda")
    assert command.environment["LLMTL_MAX_INPUTS"] == "7"
    assert command.argv[-2:] == ("--max-model-len", "512")


def test_a_hub_model_may_be_downloaded(folder):
    hub = BaseModel(**(vars(BASE) | {"hub": True, "source": "org/model", "revision": "abc"}))
    command = server_command(folder, bundle(hub), ServeOptions(), device="cuda")
    assert "HF_HUB_OFFLINE" not in command.environment
    assert (value(command, "--model"), value(command, "--revision")) == ("org/model", "abc")


def test_a_winner_without_a_language_model_has_its_own_server(folder):
    command = server_command(folder, bundle(None, Weights.CLASSIFIER), ServeOptions(), device="cpu")
    assert command.argv[1:4] == ("-P", "-m", "llmtl.serving.task_api.classifier_app")
    assert (value(command, "--host"), value(command, "--port")) == ("127.0.0.1", "8000")


def test_a_name_that_begins_like_an_option_starts_no_server(folder):
    named = BaseModel(**(vars(BASE) | {"name": "--trust-remote-code"}))
    with pytest.raises(BundleError, match="'--trust-remote-code' would be taken for an option of the server"):
        server_command(folder, bundle(named, Weights.BASE), ServeOptions(), device="cpu")


@pytest.mark.parametrize("extra", ["--trust-remote-code", "--trust_remote", "--load-format=pt", "--hf-overrides"])
def test_arguments_that_would_run_a_model_s_code_are_refused(extra):
    with pytest.raises(InputError, match="could run a model's own code"):
        ServeOptions(extra=(extra,))


@pytest.mark.parametrize("extra", ["--port", "--host=0.0.0.0", "--served_model_name", "--uds", "--api-k=x"])
def test_arguments_that_llmtl_sets_are_refused(extra):
    with pytest.raises(InputError, match="cannot be passed on to vLLM"):
        ServeOptions(extra=(extra, "x"))


def test_waits_between_restarts_double_up_to_a_limit():
    policy = RestartPolicy(first_delay_seconds=1, longest_delay_seconds=10)
    assert [policy.delay_seconds(number) for number in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@pytest.mark.parametrize(
    "key", ["", " ", "\t\n", "secret\n", " secret", "sécret", "se\ncret", "se\0cret", "\u202esecret"]
)
def test_a_key_that_no_client_could_send_or_that_lets_everybody_in_is_refused(key):
    with pytest.raises(
        InputError, match=r"The API key (is empty|has a blank at an end, a line break).*openssl rand"
    ) as said:
        ServeOptions(api_key=key)
    assert "cret" not in str(said.value)
    assert ServeOptions(api_key="any words, or so").api_key == "any words, or so"
