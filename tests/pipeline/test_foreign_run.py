"""A run folder from elsewhere: reopening it runs no code and reads and writes nothing outside it."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

import llmtl
from llmtl.cli import main
from llmtl.errors import RunError

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "runs" / "ce0dc59-classification.tar.gz"


@pytest.fixture
def run(tmp_path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "classification"


def step_of(run: Path, strategy: str) -> Path:
    return run / json.loads((run / "index.json").read_text())["fits"][strategy]


@pytest.mark.parametrize("path", ["../other/step", "/etc", "steps/../../x", "elsewhere/step", "data", "steps"])
@pytest.mark.parametrize("where", ["fits", "evaluations"])
def test_paths_to_outside_are_refused(run, where, path):
    index = json.loads((run / "index.json").read_text())
    if where == "fits":
        index["fits"]["majority"] = path
    else:
        index["evaluations"][0] = path
    (run / "index.json").write_text(json.dumps(index))
    with pytest.raises(RunError, match=f"names '{path}', which is not inside it, in 'steps'; run the recipe"):
        llmtl.load_run(run)


@pytest.mark.parametrize("name", ["evil.py", "model.pkl", "adapter_model.bin", "weights.PT", "weights.joblib"])
def test_code_and_pickles_in_a_step_are_refused(run, name):
    (step_of(run, "majority") / name).write_bytes(b"")
    with pytest.raises(RunError, match=f"{name}' could run code when it is read; take that out"):
        llmtl.load_run(run)


def test_a_configuration_that_asks_for_code_is_refused(run):
    [config] = step_of(run, "qlora").rglob("adapter_config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"auto_mapping": {"parent_library": "antigravity"}}))
    with pytest.raises(RunError, match=r"adapter_config\.json' names a library to import \('auto_mapping'\)"):
        llmtl.load_run(run)


@pytest.mark.parametrize("name", ["server-8000.log", "report.html", "data/train.jsonl", "steps/x"])
def test_a_link_to_outside_is_refused_before_anything_is_written_through_it(run, tmp_path, name):
    target = tmp_path / "precious"
    target.write_text("mine")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(target)
    with pytest.raises(RunError, match=f"'{name}' is a link to outside the folder; take that out"):
        llmtl.load_run(run)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("what", ["pipe", "link"])
def test_verifying_and_cleaning_name_a_run_that_would_never_end(run, what, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(run, runs / "b-sound")
    shutil.copytree(run, runs / "a-odd")
    odd = runs / "a-odd" / "odd.json"
    odd.symlink_to("/dev/zero") if what == "link" else os.mkfifo(odd)
    (runs / "a-odd" / "SHA256SUMS").write_text(f"{'0' * 64}  odd.json\n")
    assert main(["runs", str(runs), "--verify"]) == 1
    told = capsys.readouterr().out
    assert "a-odd' is no plain data: 'odd.json' is " in told
    assert f"{runs / 'b-sound'}: not sealed" in told
    assert main(["runs", str(runs), "--clean", "--yes"]) == 2
    assert "'odd.json' is " in capsys.readouterr().err
