"""Stock vLLM, without anything of llmtl, on a bundle's own configuration: raw messages get what was measured."""

import json
import math
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from transformers import AutoTokenizer

from llmtl.engines.protocol import ModelSource
from llmtl.pipeline.export import bundle_source
from llmtl.pocket import resolve
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.bundle.write import write_bundle
from tests.support.forked_vllm import fork_vllm
from tests.support.live_bundle import QUICK_START, answering, free_port

pytestmark = pytest.mark.slow
ENVIRONMENT = QUICK_START | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


@contextmanager
def stock_vllm(config: str, *, cwd: Path, log: Path) -> Iterator[httpx.Client]:
    """Yield a client of stock vLLM started in `cwd` on a configuration file."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--config", config, "--port", str(port)]
    server = fork_vllm(command, environment=os.environ | ENVIRONMENT, cwd=cwd, log=log)
    with answering(server, url, log), httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        yield client


def assert_serves_what_was_measured(client: httpx.Client, folder: Path) -> None:
    """Send every recorded input as a raw message, with the example request's constraint."""
    bundle = open_bundle(folder)
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    for row in read_recorded(folder):
        answer = client.post(
            "/v1/chat/completions", json=request | {"messages": [{"role": "user", "content": row.text}]}
        )
        assert answer.status_code == 200, answer.text
        [choice] = answer.json()["choices"]
        assert choice["message"]["content"] == bundle.answers[bundle.task.labels.index(row.prediction)]
        told = sum(token["logprob"] for token in choice["logprobs"]["content"])
        assert told == pytest.approx(math.log(row.probabilities[row.prediction]), abs=2e-4), row


def names(client: httpx.Client) -> list[str]:
    return [each["id"] for each in client.get("/v1/models").json()["data"]]


def test_an_adapter_bundle(llama_run, bundle_of, tmp_path: Path):
    folder = bundle_of(llama_run, "qlora")
    with stock_vllm(str(folder / "vllm.yaml"), cwd=tmp_path, log=tmp_path / "log.txt") as client:
        assert names(client) == ["pocket-llama", "front-desk"]
        assert_serves_what_was_measured(client, folder)
        refused = client.post(
            "/v1/chat/completions",
            json={
                "model": "front-desk",
                "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "y"}],
            },
        )
        assert refused.status_code == 400
        assert "exactly one message" in refused.json()["error"]["message"]


@pytest.fixture
def other_end(tmp_path: Path) -> Path:
    """Return a copy of pocket-mistral whose end of sequence is not the token that ends an answer, as in some chats."""
    folder = Path(shutil.copytree(resolve("pocket-mistral"), tmp_path / "other-end"))
    for name, key, value in (
        ("tokenizer_config.json", "eos_token", "<|user|>"),
        ("config.json", "eos_token_id", 4),
        ("generation_config.json", "eos_token_id", 4),
    ):
        document = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(document | {key: value}))
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == 4
    return folder


def test_a_few_shot_bundle_from_inside_its_folder(mistral_run, other_end, tmp_path: Path):
    source = bundle_source(mistral_run, "few-shot", folder=tmp_path / "bundle", merge=False)
    source = replace(source, model=ModelSource(str(other_end)), model_name=str(other_end))
    folder = write_bundle(source, tmp_path / "bundle").rename(tmp_path / "moved")
    with stock_vllm("vllm.here.yaml", cwd=folder, log=tmp_path / "log.txt") as client:
        assert names(client) == ["front-desk", "other-end", "front-desk/qlora"]
        assert_serves_what_was_measured(client, folder)
        example = json.loads((folder / "request.json").read_text(encoding="utf-8"))
        assert client.post("/v1/chat/completions", json=example).status_code == 200
