"""Heads on sentence vectors, measured on a small data set of the same form by a tiny encoder."""

import csv
import json
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")
WORDS = ("refund", "parcel", "login")


@pytest.fixture
def banking77(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(FOLDER / "encoders")
    before = list(sys.path)
    import banking77
    import written_results

    monkeypatch.setattr(written_results, "RESULTS", tmp_path / "results")
    yield banking77
    sys.path[:] = before
    for name in ("banking77", "written_results"):
        sys.modules.pop(name, None)


@pytest.fixture
def data(tmp_path):
    for name, count in (("train", 14), ("test", 3)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            rows = [{"text": f"my {word} {at}", "category": word} for word in WORDS for at in range(count)]
            writer = csv.DictWriter(file, ["text", "category"])
            writer.writeheader()
            writer.writerows(rows)
    return tmp_path


def test_every_draw_is_scored_once_and_kept(banking77, data, tiny_encoder, monkeypatch):
    command = ["--data", data, "--encoder", tiny_encoder, "--seeds", 2, "--work", data / "work", "--name", "small"]
    monkeypatch.setattr(sys, "argv", ["banking77.py", *map(str, command)])
    assert banking77.main() == 0
    path = data / "results" / "small.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [(each["strategy"], each["labels"], each["draws"]) for each in found["summary"]] == [
        (strategy, labels, 2) for strategy, labels in banking77.PLAN
    ]
    assert [(row["train"], row["dev"], row["test"]) for row in found["rows"]] == [
        (39, 3, 9) if row["labels"] == "all" else (24, 12, 9) for row in found["rows"]
    ]
    for each in found["summary"]:
        own = [row["accuracy"] for row in found["rows"] if (row["strategy"], row["labels"]) == tuple(each.values())[:2]]
        assert each["mean"] == pytest.approx(sum(own) / 2, abs=1e-4)
    monkeypatch.setattr(banking77, "_drawn", None)  # what is kept is not measured again
    assert banking77.main() == 0
    assert json.loads(path.read_text(encoding="utf-8"))["rows"] == found["rows"]
