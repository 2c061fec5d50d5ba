"""`llmtl decide`: values that are refused, every one of them at once."""

from pathlib import Path

import pytest

from tests.support.cli_checks import refused

FILES = ("--predictions", "one.jsonl", "two.jsonl")


def test_all_wrong_numbers_are_told_at_once(here: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, *FILES, "--margin", "2", "--alpha", "nan", "--resamples", "x", command="decide")
    assert "3 problems" in line
    for name in ("'margin'", "'alpha'", "'resamples'"):
        assert name in line


def test_a_target_above_one_and_a_metric_of_another_kind(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "'target': input should be less than or equal to 1" in refused(
        capsys, *FILES, "--target", "90", command="decide"
    )
    assert "metric must be one of" in refused(capsys, *FILES, "--metric", "bleu", command="decide")
