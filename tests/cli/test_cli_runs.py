"""`llmtl runs`, `compare`, `report`, and `predict` on files: two small runs of the same data, made once."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from llmtl.cli import main
from tests.support.cli_checks import COLUMNS, ROWS, write

SOME = ("--strategies", "majority,tfidf", "learning_curve.enabled=false", "--quiet")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two finished runs of one file and something that is none."""
    folder = tmp_path_factory.mktemp("runs")
    data = write(folder / "data.csv", ROWS)
    for name, metric in (("one", "accuracy"), ("two", "accuracy"), ("other", "macro_f1")):
        out = str(folder / "runs" / name)
        given = [str(data), *COLUMNS, *SOME, "--metric", metric, "--target", "0.8", "--out", out]
        assert main(["run", *given, *(["seed=3"] if name == "other" else [])]) == 0
    (folder / "runs" / "notes").mkdir()
    return folder / "runs"


def test_runs_are_listed_for_people_and_for_machines(runs: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["runs", str(runs), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(Path(line["folder"]).name for line in found) == ["one", "other", "two"]
    assert {line["winner"] for line in found} == {"tfidf"}
    assert {line["verdict"] for line in found} == {"baseline"}
    assert main(["runs", str(runs)]) == 0
    assert "baseline" in capsys.readouterr().out
    assert main(["runs", str(runs / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_two_runs_are_compared_where_test_is_the_same(runs: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["compare", str(runs / "one"), str(runs / "two"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["same_data"], found["same_test"]) == (True, True)
    assert (found["difference"]["value"], found["difference"]["n"]) == (0.0, 6)
    assert main(["compare", str(runs / "one"), str(runs / "other")]) == 0
    assert "and other test examples: their scores cannot be compared" in capsys.readouterr().out


def test_a_report_is_written_again(runs: Path, capsys: pytest.CaptureFixture[str]):
    report = runs / "one" / "report.html"
    report.unlink()
    assert main(["report", str(runs / "one")]) == 0
    assert report.is_file()
    assert str(report) in capsys.readouterr().out
    assert main(["report", str(runs / "one"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"run": str(runs / "one"), "report": str(report)}


def test_an_export_for_machines_prints_where_the_bundle_is(runs: Path, tmp_path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "bundle"
    assert main(["export", str(runs / "one"), str(out), "--strategy", "majority", "--json", "--quiet"]) == 0
    printed, said = capsys.readouterr()
    assert (json.loads(printed), said) == ({"bundle": str(out), "signed": False}, "")


def test_a_run_folder_goes_on_in_itself(runs: Path, capsys: pytest.CaptureFixture[str]):
    before = (runs / "two" / "decision.json").read_text()
    assert main(["run", str(runs / "two"), "--json"]) == 0
    assert capsys.readouterr().out == before
    assert not (Path("runs") / "two").exists()


def test_one_bad_row_keeps_its_place_in_the_file(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "in.csv").write_bytes("id;text;label\n1;my cärd was lost;x\n2;;y\n3;refund me;z\n".encode("cp1252"))
    out = tmp_path / "out.csv"
    assert main(["predict", str(runs / "one"), "--file", str(tmp_path / "in.csv"), "--out", str(out)]) == 0
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert [row["predicted_label"] for row in rows] == ["card lost", "", "refund"]
    assert [row["label"] for row in rows] == ["x", "y", "z"]
    assert [row["error"] for row in rows] == ["", "There is no text in line 3.", ""]
    said = capsys.readouterr().err
    assert "Read in.csv: 3 rows, cp1252 (guessed, as in 'cärd'), separated by ';'." in said
    assert "1 of 3 rows has no answer (first: line 3" in said


def test_stdin_is_answered_line_by_line(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"my card was lost\nrefund me\n")))
    assert main(["predict", str(runs / "one"), "--quiet"]) == 0
    shown = capsys.readouterr()
    assert [json.loads(line)["label"] for line in shown.out.splitlines()] == ["card lost", "refund"]
    assert shown.err == ""


def test_the_folder_of_a_run_is_not_taken_for_a_folder_of_runs(tmp_path, capsys):
    (tmp_path / "steps").mkdir()
    assert main(["runs", str(tmp_path)]) == 2
    assert "is a run itself; name the folder that holds it." in capsys.readouterr().err
