"""A whole generation run judged by a real model: our own vLLM with pocket-llama, held to the schema.

A model of this size is no judge; what it is asked, what it may answer and what is kept is tested, not its opinion.
"""

import json
import random

import pytest

pytest.importorskip("vllm")

import llmtl
from llmtl.judging.result import JUDGING
from llmtl.store import read_json, read_json_lines
from tests.engines.openai.test_openai_vllm import url

pytestmark = pytest.mark.slow
server_url = url
"""The fixture of the `openai` engine's tests: the address of a vLLM that serves `pocket` for the key `secret`."""
NAMES = ("Tom", "Anna", "Maria", "Peter", "Eve", "Paul", "Nora", "Ben")
PLACES = ("Paris", "the market", "the office", "July Street", "the old bridge")


def recipe(folder, address, **judge):
    draw = random.Random(3)
    told = [(f"name[{name}], place[{place}]", f"{name} is at {place} now.") for name in NAMES for place in PLACES]
    draw.shuffle(told)
    lines = [json.dumps({"text": text, "label": reference}) for text, reference in told]
    (folder / "data.jsonl").write_text("\n".join(lines))
    settings = {"base_url": address, "model": "pocket", "api_key_env": "POCKET_KEY", "context_length": 2048}
    free = {"usd_per_million_prompt_tokens": 0, "usd_per_million_completion_tokens": 0}
    document = {
        "name": "told",
        "data": {"path": "data.jsonl", "near_duplicate_threshold": 1.0},
        "task": {"kind": "generation"},
        "model": {"name": "pocket-llama"},
        "strategies": {"run": ["majority", "nearest", "zero-shot"], "zero_shot": {"built_in_instructions": False}},
        "decision": {"resamples": 1000},
        "learning_curve": {"enabled": False},
        "judge": settings | free | judge,
    }
    (folder / "recipe.yaml").write_text(json.dumps(document))
    return folder / "recipe.yaml"


def test_a_run_is_judged_and_the_second_run_asks_nothing(server_url, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKET_KEY", "secret")
    run = llmtl.run(recipe(tmp_path, server_url), out=tmp_path / "run")
    judging = JUDGING.validate_python(read_json(run.folder / "judging.json"))
    assert judging.unjudged is None
    planned = [(item.a, item.b) for item in run.decision.choice.comparisons]
    assert [(item.a, item.b) for item in judging.opinion.comparisons] == planned
    assert len(planned) > 1
    for item in judging.opinion.comparisons:
        assert item.wins + item.losses + item.ties == judging.examples
        assert item.failures == 0
    assert judging.opinion.constrained
    asked = [row for row in read_json_lines(run.folder / "judging.jsonl") if row["asked"]]
    assert {row[order] for row in asked for order in ("a_shown_first", "b_shown_first")} <= {"A", "B", "tie"}
    spent = judging.opinion.spent
    assert 0 < spent.requests <= 2 * len(asked)
    assert spent.prompt_tokens > spent.completion_tokens > 0
    assert spent.usd == 0

    monkeypatch.setenv("POCKET_KEY", "no longer valid")  # whatever is asked now is refused
    again = llmtl.run(recipe(tmp_path, server_url, max_usd=1.0), out=tmp_path / "run")
    assert again.decision == run.decision
    fresh = llmtl.run(recipe(tmp_path, server_url, criteria="Be brief."), out=tmp_path / "run")
    assert [line for line in fresh.summary.warnings if "refuses the key" in line and "check POCKET_KEY" in line]
    assert (fresh.decision.verdict, fresh.decision.winner) == (run.decision.verdict, run.decision.winner)
