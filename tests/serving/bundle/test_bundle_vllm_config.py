"""The arguments of vLLM: what depends on the bundle, and that vLLM's own parser takes them all."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llmtl.errors import BundleError
from llmtl.serving.bundle.manifest import BaseModel, Bundle, ServedStrategy, Weights
from llmtl.serving.bundle.vllm_config import served_names, vllm_arguments, vllm_yaml
from llmtl.task import Task
from tests.support.forked_vllm import fork_vllm

BASE = BaseModel("tiny", "model", hub=False, revision=None, licence="mit", context_length=2048, dtype="float32")
BUNDLE = Bundle(
    task=Task("t", ("a", "b")),
    winner=ServedStrategy("qlora", "t", "t", Weights.ADAPTER),
    others=(ServedStrategy("zero-shot", "t/zero-shot", "tiny", Weights.BASE),),
    base=BASE,
    answers=("a", "b"),
    answer_tokens=(1, 2, 3),
    lora_rank=16,
    created="2026-01-01T00:00:00+00:00",
    llmtl_version="0",
    verdict="adopt",
)
HUB = replace(BASE, name="me/big", source="me/big", hub=True, revision="abc", context_length=131_072, dtype="bfloat16")
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
found = vars(make_arg_parser(FlexibleArgumentParser()).parse_args(["--config", sys.argv[1]]))
found["lora_modules"] = [[each.name, each.path] for each in found["lora_modules"] or []]
print("PARSED" + json.dumps({key: value for key, value in found.items()}, default=str))
"""


@pytest.mark.parametrize(("rank", "room"), [(1, 1), (2, 8), (8, 8), (16, 16), (33, 64), (300, 320), (512, 512)])
def test_room_is_made_for_the_adapters_rank(tmp_path, rank, room):
    assert vllm_arguments(replace(BUNDLE, lora_rank=rank), tmp_path)["max-lora-rank"] == room


def test_a_rank_that_vllm_cannot_serve(tmp_path):
    with pytest.raises(BundleError, match="rank of 600 is above vLLM's largest, 512; export with --merge"):
        vllm_arguments(replace(BUNDLE, lora_rank=600), tmp_path)


def test_a_bundle_without_an_adapter_asks_for_no_adapters(tmp_path):
    winner = ServedStrategy("zero-shot", "t", "t", Weights.BASE)
    arguments = vllm_arguments(replace(BUNDLE, winner=winner, others=()), tmp_path)
    assert not [key for key in arguments if "lora" in key]
    assert arguments["served-model-name"] == ["t", "tiny"]
    merged = replace(BUNDLE, winner=ServedStrategy("qlora", "t", "t", Weights.MERGED), others=())
    assert served_names(merged) == ["t"]
    assert "enable-lora" not in vllm_arguments(merged, tmp_path)


def test_there_is_room_for_the_probability_of_every_label(tmp_path):
    assert vllm_arguments(BUNDLE, tmp_path)["max-logprobs"] == 20
    many = replace(BUNDLE, answers=tuple(map(str, range(77))))
    assert vllm_arguments(many, tmp_path)["max-logprobs"] == 78


def test_a_classifier_has_no_arguments(tmp_path):
    winner = ServedStrategy("tfidf", "t", "t", Weights.CLASSIFIER)
    with pytest.raises(BundleError, match="'tfidf' is not a language model"):
        vllm_arguments(replace(BUNDLE, base=None, winner=winner), tmp_path)


@pytest.mark.slow
def test_vllms_own_parser_takes_every_argument(tmp_path):
    folder = tmp_path / "a, b=c \u00e9"  # a path that a short form would misread
    folder.mkdir()
    config = tmp_path / "vllm.yaml"
    config.write_text(vllm_yaml(vllm_arguments(replace(BUNDLE, base=HUB), folder), note="two\nlines"), encoding="utf-8")
    quiet = os.environ | {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    command, log = [sys.executable, "-c", PARSE, str(config)], tmp_path / "log.txt"
    fork_vllm(command, environment=quiet, cwd=tmp_path, log=log).wait(240)
    said = log.read_text()
    assert "PARSED" in said, said[-2000:]
    found = json.loads(said.partition("PARSED")[2].splitlines()[0])
    expected = {
        "model": "me/big",
        "revision": "abc",
        "tokenizer": str(folder / "tokenizer"),
        "served_model_name": ["me/big"],
        "host": "127.0.0.1",
        "allowed_origins": [],
        "max_model_len": -1,
        "dtype": "bfloat16",
        "enforce_eager": False,
        "enable_prefix_caching": True,
        "chat_template": str(folder / "chat_template.jinja"),
        "chat_template_content_format": "string",
        "generation_config": "vllm",
        "logprobs_mode": "processed_logprobs",
        "enable_lora": True,
        "max_lora_rank": 16,
        "lora_modules": [["t", str(folder / "adapter")]],
        "load_format": "safetensors",
    }
    assert {key: found[key] for key in expected} == expected


def test_relative_paths_need_a_working_directory_inside(tmp_path: Path):
    arguments = vllm_arguments(BUNDLE, tmp_path, relative=True)
    assert (arguments["model"], arguments["chat-template"]) == ("model", "chat_template.jinja")
    assert json.loads(arguments["lora-modules"][0]) == {"name": "t", "path": "adapter"}
    assert str(tmp_path) not in str(arguments)


def test_the_second_member_of_a_cascade_shares_its_adapter():
    member = ServedStrategy("qlora", "t/qlora", "t", Weights.ADAPTER)
    bundle = replace(BUNDLE, winner=replace(BUNDLE.winner, name="tfidf-else-qlora"), others=(member,))
    assert len(vllm_arguments(bundle, Path("/bundle"))["lora-modules"]) == 1
