"""`llmtl doctor` prints what this machine can run."""

import pytest

from llmtl.cli import main


def test_the_doctor_names_devices_engines_and_versions(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("CPU", "memory", "transformers", "vllm", "bitsandbytes", "torch"):
        assert word in shown
