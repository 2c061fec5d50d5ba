"""Folders with odd names and contents on the command line: one line, exit code 2, and no other program is misled."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from llmtl.cli import main
from llmtl.progress import Silent
from llmtl.serving.bundle.hashes import write_hashes

FIXTURES = Path(__file__).parents[1] / "fixtures"


def unpacked(archive: str, folder: Path) -> Path:
    with tarfile.open(FIXTURES / archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def test_a_bundle_whose_hashes_were_made_anew_over_code_is_refused(tmp_path, capsys):
    bundle = unpacked("bundles/ce0dc59.tar.gz", tmp_path) / "classification-tfidf"
    (bundle / "classifier" / "sitecustomize.py").write_text("raise SystemExit")
    write_hashes(bundle, Silent())
    assert main(["serve", str(bundle), "--no-playground"]) == 2
    told = capsys.readouterr().err
    assert "'classifier/sitecustomize.py' could run code when it is read; do not serve it" in told
    assert told.count("llmtl: ") == 1


@pytest.mark.parametrize("command", [["predict", "--text", "x"], ["report"], ["export", "out"], ["serve"]])
def test_a_run_whose_files_lead_elsewhere_is_refused_by_every_command(command, tmp_path, capsys, monkeypatch):
    run = unpacked("runs/ce0dc59-classification.tar.gz", tmp_path) / "classification"
    monkeypatch.chdir(tmp_path)
    index = json.loads((run / "index.json").read_text())
    index["fits"] = dict.fromkeys(index["fits"], "../elsewhere")
    (run / "index.json").write_text(json.dumps(index))
    assert main([command[0], str(run), *command[1:]]) == 2
    assert "names '../elsewhere', which is not inside it" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_report_is_opened_by_its_address_whatever_its_folder_is_called(tmp_path):
    odd = tmp_path / "--private-window $(touch ran) %s; é"
    shutil.move(unpacked("runs/ce0dc59-classification.tar.gz", tmp_path) / "classification", odd)
    told, browser = tmp_path / "told", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$@" > {told}\n')
    browser.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "llmtl", "report", "--open", f"./{odd.name}"],
        env=os.environ | {"BROWSER": f"{browser} %s", "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [count, address] = told.read_text().splitlines()
    assert (count, urlsplit(address).scheme) == ("1", "file")
    assert unquote(urlsplit(address).path) == str(odd / "report.html")
    assert not (tmp_path / "ran").exists()
