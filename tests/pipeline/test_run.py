"""A whole run on a tiny real checkpoint: every strategy, the files it leaves, resuming, reopening, predicting."""

import csv
import json
import re
from pathlib import Path

import jsonschema
import pytest

import llmtl
from llmtl.cli import main
from llmtl.errors import RunError
from llmtl.report.decision_file import schema
from llmtl.store import read_json_lines

STRATEGIES = ("majority", "tfidf", "linear-probe", "zero-shot", "few-shot", "many-shot", "knn-few-shot", "qlora")
THINGS = ("card", "order", "parcel", "account", "payment", "receipt", "ticket", "voucher", "phone", "bill")


def rows() -> list[tuple[str, str]]:
    refunds = [f"please refund the {thing} of {place}" for thing in THINGS for place in ("monday", "july", "paris")]
    losses = [f"i lost my {thing} {where}" for thing in THINGS for where in ("on a train", "at work", "again, sorry")]
    return [(text, "refund") for text in refunds] + [(text, "card lost") for text in losses]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> llmtl.Run:
    folder = tmp_path_factory.mktemp("run")
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows()])
    (folder / "recipe.yaml").write_text(
        f"name: tiny\ndata: {{path: data.csv}}\nmodel: {{name: '{tiny_llama}'}}\nencoder: null\n"
        "strategies: {qlora: {max_epochs: 2}, few_shot: {shots: [4, 8], seeds: 2}}\ntask: {target: 0.9}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "out")


def test_every_strategy_is_measured_on_dev_and_test(run: llmtl.Run):
    measured = {(item.strategy, item.split) for item in run.evaluations}
    assert measured == {(name, split) for name in STRATEGIES for split in ("dev", "test")}
    assert {item.name for item in run.decision.strategies} == set(STRATEGIES)


def test_the_decision_file_follows_its_schema_and_holds_what_is_promised(run: llmtl.Run):
    document = json.loads((run.folder / "decision.json").read_text())
    jsonschema.validate(document, schema())
    assert document["verdict"] in {"adopt", "tie", "baseline", "inconclusive"}
    assert document["target"] == 0.9
    for row in document["strategies"]:
        assert {"name", "role", "eligible", "why_not", "dev", "test", "usd_per_1k_requests", "p50_ms", "p95_ms"} <= set(
            row
        )
        assert {"train_seconds", "train_gpu_hours"} <= set(row)
        assert set(row["test"]) == {"value", "ci95", "n", "failed", "seeds", "draw", "draw_sd"}
    for row in document["comparisons"]:
        assert {"a", "b", "difference", "ci95", "p", "p_holm", "method"} <= set(row)


def test_the_choice_was_written_before_test_was_opened(run: llmtl.Run):
    chosen = (run.folder / "choice.json").stat().st_mtime_ns
    tested = [path.stat().st_mtime_ns for path in run.folder.glob("steps/test-*/result.json")]
    assert len(tested) == len(STRATEGIES)
    assert chosen < min(tested)
    assert json.loads((run.folder / "choice.json").read_text())["strategy"] == run.decision.chosen_before_test


def test_the_reports_are_written(run: llmtl.Run):
    page = run.report.read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    # links to where prices were read are no loading
    assert not re.search(r"""(src|data)=["']?https?:|<link[^>]+href=["']?https?:|@import|url\(["']?https?:""", page)
    for name in STRATEGIES:
        assert name in page
        assert name in (run.folder / "report.md").read_text()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_reopened_run_predicts_what_was_recorded(run: llmtl.Run, strategy: str):
    examples = read_json_lines(run.folder / "data" / "test.jsonl")
    recorded = read_json_lines(run.folder / "predictions" / f"{strategy}.test.jsonl")
    assert [row["id"] for row in recorded] == [row["id"] for row in examples]
    again = llmtl.load_run(run.folder).predictor(strategy).predict([row["text"] for row in examples])
    assert [item.answer for item in again] == [row["prediction"] for row in recorded]
    for item, row in zip(again, recorded, strict=True):
        assert dict(item.probabilities) == pytest.approx(row["probabilities"], abs=1e-5)
        assert sum(item.probabilities.values()) == pytest.approx(1)


def test_running_again_reuses_every_step(run: llmtl.Run):
    before = {path: path.stat().st_mtime_ns for path in run.folder.glob("steps/*/result.json")}
    again = llmtl.run(run.folder.parent / "recipe.yaml", out=run.folder)
    assert {path: path.stat().st_mtime_ns for path in run.folder.glob("steps/*/result.json")} == before
    assert again.decision == run.decision


def test_the_command_line_labels_text_and_files(run: llmtl.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    texts = ["please refund the hat", "i lost my hat, really"]
    assert main(["predict", str(run.folder), "--text", texts[0], "--text", texts[1], "--strategy", "tfidf"]) == 0
    spoken = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in spoken] == texts
    assert [row["label"] for row in spoken] == ["refund", "card lost"]
    path = tmp_path / "new.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("message",), *[(text,) for text in texts]])
    assert main(["predict", str(run.folder), "--file", str(path), "--column", "message", "--strategy", "tfidf"]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == spoken


def test_an_unmeasured_strategy_is_refused(run: llmtl.Run):
    with pytest.raises(RunError, match=r"no strategy 'best'; it measured majority, tfidf"):
        run.predict(["x"], strategy="best")
