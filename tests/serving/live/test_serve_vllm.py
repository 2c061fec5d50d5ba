"""`llmtl serve` over real vLLM, from the outside: announced, killed twice, started again, stopped while it starts."""

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from llmtl.cli import main
from llmtl.measured.endpoint import SERVED
from tests.support.live_bundle import QUICK_START
from tests.support.serve_process import serving

ENVIRONMENT = os.environ | QUICK_START
RESTART_SECONDS = 600.0
SERVER = "vllm.entrypoints.openai.api_server"
DIED = r"The server died: it.* was killed.*Restart {restart} of 5"


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def label(url, text):
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120) as client:
        answer = client.chat.completions.create(model="front-desk", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content


def outcome(client, body):
    """Return what one request came to: right, or the code of its 503."""
    try:
        if not body["stream"]:
            answer = client.post("/chat/completions", json=body)
            found, text = answer.status_code, answer.text
        else:
            with client.stream("POST", "/chat/completions", json=body) as answer:
                found, text = answer.status_code, answer.read().decode()
    except httpx.RemoteProtocolError:
        return "broken off"
    if found == 200:
        return "engine_failed" if '"engine_failed"' in text else "right" if "stack trace" not in text else text
    assert (found, answer.headers["retry-after"]) == (503, "5"), text
    return json.loads(text)["error"]["code"]


@contextlib.contextmanager
def asked_all_the_time(url, texts):
    """Ask eight at a time while the context is open; its value is what became of them, and at the end that of all."""
    told, ended = [], threading.Event()

    def ask(worker):
        with httpx.Client(base_url=url, timeout=120) as client:
            for number in itertools.count(worker):
                if ended.is_set():
                    return
                message = {"role": "user", "content": texts[number % len(texts)]}
                told.append(outcome(client, {"model": "front-desk", "messages": [message], "stream": worker % 2 == 0}))
                if told[-1] != "right":
                    time.sleep(0.2)

    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, worker) for worker in range(8)]
        try:
            yield told
        finally:
            ended.set()
    for each in asking:
        each.result()


def until(condition):
    deadline = time.monotonic() + RESTART_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def server_process(server, title):
    """Return the vLLM process with that title or command, without the keeper that carries the same command."""
    [found] = [process for process in server.named(title) if "llmtl.serving.server.keeper" not in process.cmdline()]
    return found


@pytest.mark.slow
def test_a_tuned_winner_is_served_through_thick_and_thin(llama_run):
    recorded = rows(llama_run.folder / "predictions" / "qlora.test.jsonl")
    texts = {row["id"]: row["text"] for row in rows(llama_run.folder / "data" / "test.jsonl")}
    arguments = ("--strategy", "qlora", "--port", "0", "--no-playground", "--gate", "all")
    with serving(llama_run.folder, *arguments, environment=ENVIRONMENT) as server:
        url = server.announced()
        assert f"Parity: {len(recorded)} of {len(recorded)} recorded labels" in server.output
        curl = next(line for line in server.lines if line.startswith("curl "))
        printed = subprocess.run(curl, shell=True, capture_output=True, check=True).stdout
        assert json.loads(printed)["choices"][0]["message"]["content"] in llama_run.task.labels
        root = url.removesuffix("/v1")
        with asked_all_the_time(url, list(texts.values())) as told:
            until(lambda: len(told) >= 16)
            server_process(server, "EngineCore").parent().kill()  # a spare has the same command as the server
            server.until(DIED.format(restart=1), RESTART_SECONDS)
            assert httpx.get(f"{root}/health").json() == {"status": "degraded"}
            server.until("The server answers again", RESTART_SECONDS)
            until(lambda: httpx.get(f"{root}/ready").status_code == 200)
        # a stream of the killed API server may have begun; its client sees that it broke off
        assert {"right", "not_ready"} <= set(told) <= {"right", "engine_failed", "not_ready", "broken off"}
        assert label(url, texts[recorded[0]["id"]]) == recorded[0]["prediction"]
        with asked_all_the_time(url, list(texts.values())) as told:
            until(lambda: len(told) >= 16)
            server_process(server, "EngineCore").kill()
            server.until(DIED.format(restart=2), RESTART_SECONDS)
        assert {"right", "engine_failed"} <= set(told) <= {"right", "engine_failed", "not_ready"}
        while not server.named(SERVER):
            time.sleep(0.1)
        assert server.stop() == 0  # while vLLM starts
        assert server.lines[-1] == "stopped"
        assert server.family() == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", httpx.URL(url).port)) != 0
    served = SERVED.validate_json((llama_run.folder / "serving.json").read_bytes())
    assert (served.strategy, served.engine.split()[0], served.device) == ("qlora", "vllm", "cpu")
    assert all(load.errors == 0 for load in served.loads)
    assert served.parity.largest_difference < 1e-3


@pytest.mark.slow
def test_a_vllm_that_dies_at_start_is_explained(bundle_of, llama_run):
    bundle = bundle_of(llama_run, "qlora")
    arguments = ("--port", "0", "--no-playground", "--", "--max-model-len", "1000000000")
    with serving(bundle, *arguments, environment=ENVIRONMENT) as server:
        assert server.finished(RESTART_SECONDS) == 1
        assert server.family() == []
    assert "llmtl: The server did not start: " in server.lines[-1]
    assert "max_model_len" in server.lines[-1]


def test_a_bundle_without_its_adapter_is_refused(capsys, bundle_of, llama_run, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_of(llama_run, "qlora"), folder)
    (folder / "adapter" / "adapter_model.safetensors").unlink()
    assert main(["serve", str(folder)]) == 2
    assert "lacks 'adapter/adapter_model.safetensors'" in capsys.readouterr().err
