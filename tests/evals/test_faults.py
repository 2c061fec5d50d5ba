"""Readers end well on what they should not be given: 300 mutants here, and the committed results keep their bars."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "evals"
RESULTS = FOLDER / "results"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def fuzz(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(FOLDER / "faults")
    import fuzz

    yield fuzz
    for name in ("fuzz", "mutants", "small_runs", "written_results"):
        sys.modules.pop(name, None)


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_300_mutants_end_well(fuzz: ModuleType, tmp_path: Path):
    made = fuzz.targets(tmp_path)
    found = fuzz.fuzz(made, count=300, number=1)
    assert sum(found.read.values()) + sum(found.refused.values()) >= 250
    assert not found.faults


@pytest.mark.skipif(not (RESULTS / "kills.json").is_file(), reason="the result is not there")
def test_interrupted_runs_are_those_never_interrupted():
    result = json.loads((RESULTS / "kills.json").read_text(encoding="utf-8"))
    assert result["ways"]["SIGKILL at a random moment"]["trials"] == 50
    assert all(way["identical"] == way["trials"] and way["tracebacks"] == 0 for way in result["ways"].values())
