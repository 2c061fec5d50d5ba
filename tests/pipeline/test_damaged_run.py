"""Damage to a finished run is found, told with a cure that works, and cured; what killed commands left is deleted."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llmtl
from llmtl.cli.entry import main
from llmtl.errors import DamagedRunError, RunError
from llmtl.left_overs import held
from llmtl.pipeline.export import export
from llmtl.pipeline.report import refresh_report
from llmtl.seals import SEAL
from llmtl.store import Store
from tests.support.finished_runs import unsealed

WORDS = {"bug": "crash broken error", "bill": "invoice refund payment", "other": "hello thanks idea"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    chance = random.Random(0)
    rows = [
        f"{' '.join(chance.choice(WORDS[label].split()) + str(chance.randrange(99)) for _ in range(6))},{label}"
        for _ in range(40)
        for label in WORDS
    ]
    (folder / "rows.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "recipe.yaml").write_text(
        "name: small\ndata: {path: rows.csv}\nmodel: {name: pocket-llama}\nencoder: null\n"
        "strategies: {run: [majority, tfidf]}\nlearning_curve: {enabled: false}\nlabel_noise: {refit_minutes: 0}\n"
    )
    return folder


@pytest.fixture(scope="module")
def finished(recipe: Path) -> Path:
    return llmtl.run(recipe, out=recipe / "run", progress=False).folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def fit_of(folder: Path) -> Path:
    return folder / json.loads((folder / "index.json").read_text())["fits"]["tfidf"]


@pytest.mark.parametrize(
    "name", ["decision.json", "index.json", "recipe.yaml", "data/test.jsonl", SEAL, f"data/{SEAL}"]
)
def test_no_command_reads_a_damaged_run(copied: Path, name: str, capsys: pytest.CaptureFixture[str]):
    flip(copied / name)
    for command in (
        ["report", str(copied)],
        ["export", str(copied), str(copied.parent / "bundle")],
        ["serve", str(copied), "--dry-run"],
    ):
        assert main(command) == 2
        line = capsys.readouterr().err.strip()
        assert line.count("\n") == 0
        assert "damaged" in line
        assert f"`llmtl run {copied}` makes it again" in line
    assert main(["runs", str(copied.parent), "--verify"]) == 1
    assert f"{copied}: damaged" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["decision.json", "recipe.yaml"])
def test_what_another_command_is_writing_is_not_called_damaged(
    copied: Path, name: str, capsys: pytest.CaptureFixture[str]
):
    (copied / name).write_text((copied / name).read_text() + "\n")
    if name == "decision.json":
        (copied / name).unlink()
    with Store(copied).claimed():
        for command in (["report", str(copied)], ["serve", str(copied)], ["predict", str(copied), "--text", "x"]):
            assert main(command) != 0
            assert capsys.readouterr().err == (
                f"llmtl: '{copied}' is being written by another command, such as `llmtl run`; wait until that has "
                "ended.\n"
            )


def test_a_damaged_fit_is_not_loaded(copied: Path):
    flip(fit_of(copied) / "classifier.safetensors")
    run = llmtl.load_run(copied)  # weights are compared when they are read
    refresh_report(copied)
    with pytest.raises(DamagedRunError, match=r"classifier.safetensors' is damaged"):
        run.predict(["crash"], strategy="tfidf")
    with pytest.raises(RunError, match=r"`llmtl run .*` makes it again"):
        export(run, strategy="tfidf")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["decision.json", "index.json", "data/train.jsonl", "choice.json", "result.json", SEAL]
)
def test_the_cure_works(finished: Path, copied: Path, name: str, capsys: pytest.CaptureFixture[str]):
    path = fit_of(copied) / name if name in ("result.json", SEAL) else copied / name
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["run", str(copied), "--quiet", "--json"]) == 0
    capsys.readouterr()
    assert main(["runs", str(copied), "--verify"]) == 0
    assert llmtl.load_run(copied).decision.winner == llmtl.load_run(finished).decision.winner


def test_a_damaged_step_is_told(copied: Path, capsys: pytest.CaptureFixture[str]):
    flip(fit_of(copied) / "classifier.safetensors")
    assert main(["run", str(copied), "--verbose"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "Its step is done again" in told.replace("' is damaged", " is damaged")


def test_a_run_of_an_earlier_version_is_read_as_it_is(copied: Path, capsys: pytest.CaptureFixture[str]):
    unsealed(copied)
    llmtl.load_run(copied)
    refresh_report(copied)
    assert main(["runs", str(copied), "--verify"]) == 0
    assert f"{copied}: not sealed" in capsys.readouterr().out
    (copied / "data" / "test.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(RunError, match="another version of llmtl"):
        refresh_report(copied)


def test_without_its_seal_a_sealed_run_is_damaged(copied: Path):
    (copied / SEAL).unlink()
    with pytest.raises(DamagedRunError, match=r"SHA256SUMS' is missing"):
        llmtl.load_run(copied)


def test_cleaning_shows_asks_and_deletes(
    copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    left = [copied / ".bundle-abcdefgh", copied / "steps" / "fit-killed-0", copied / "data" / ".dev.jsonl.abcdefgh"]
    for path in left[:2]:
        path.mkdir()
        (path / "half").write_text("x")
    left[2].write_text("half")
    monkeypatch.setattr("builtins.input", lambda asked: "n")
    assert main(["runs", str(copied), "--clean"]) == 0
    assert all(str(path) in capsys.readouterr().out for path in left[:1])
    assert all(path.exists() for path in left)
    with held(copied):
        assert main(["runs", str(copied), "--clean", "--yes"]) == 0
    assert left[1].exists()
    assert main(["runs", str(copied), "--clean", "--yes"]) == 0
    assert not any(path.exists() for path in left)
    llmtl.load_run(copied)


@pytest.mark.slow
def test_sigterm_ends_a_run_as_ctrl_c_does(recipe: Path, tmp_path: Path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "llmtl", "run", str(recipe), "--out", str(out), "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    while not any(out.glob("steps/*")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=600)
    assert (process.returncode, told) == (143, "llmtl: told to end; the same command goes on from here.\n")
    assert main(command[3:]) == 0
    assert (out / "decision.json").is_file()
