"""A run whose time is short: probes plan it, what is cut says so, and the same command does nothing again."""

import json
from pathlib import Path

import pytest

import llmtl
from llmtl.findings import Unit
from llmtl.pipeline import forecasts
from llmtl.report.cut_words import stopped
from llmtl.store import read_json
from tests.support.training_jobs import Heard

KINDS = {"refund": "give me back my money for order {}", "login": "i cannot sign in to account {}"}


@pytest.fixture(scope="module")
def lines() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, lines: Heard) -> llmtl.Run:
    folder = tmp_path_factory.mktemp("short")
    rows = [f"{text.format(at)},{label}" for at in range(50) for label, text in KINDS.items()]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: short\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\n"
        f"model: {{name: '{tiny_llama}', engine: transformers}}\nencoder: null\nbudget: {{minutes: 0.1}}\n"
        "strategies: {run: [majority, tfidf, linear-probe, qlora], qlora: {max_epochs: 900, patience: 9000}}\n"
        "decision: {resamples: 1000, draws: 1}\nlearning_curve: {enabled: false}\nlabel_noise: {refit_minutes: 0}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasts, "FEWEST_SECONDS", 0.0)
        return llmtl.run(folder / "recipe.yaml", out=folder / "run", progress=lines)


def test_probes_plan_the_time(run: llmtl.Run, lines: Heard):
    said = [line for line in lines.lines if line.startswith(("Forecasting the time", "Time for fitting"))]
    assert said[0] == "Forecasting the time for fitting: linear-probe, qlora"
    assert said[1].startswith("Time for fitting, as planned: linear-probe ")
    assert "that it may need" in said[1]
    found = {path.name.split("-")[1]: read_json(path / "result.json") for path in run.folder.glob("steps/forecast-*")}
    assert set(found) == {"linear", "qlora"}
    assert all(each["seconds"] > 0 and each["took"] > 0 for each in found.values())
    # 900 epochs of some steps each are forecast, and the probe made three of them
    assert found["qlora"]["seconds"] > 10 * (run.fit("qlora").train_seconds or 0.0)


def test_what_was_cut_is_marked_in_decision_and_report(run: llmtl.Run):
    cuts = run.decision.result("qlora").cuts
    assert [each.unit for each in cuts] == [Unit.EPOCHS]
    assert 0 < cuts[0].done < cuts[0].planned == 900
    assert run.decision.result("tfidf").cuts == ()
    written = json.loads((run.folder / "decision.json").read_text())
    assert next(item for item in written["strategies"] if item["name"] == "qlora")["cuts"][0]["planned"] == 900
    for name in ("report.html", "report.md"):
        assert stopped(cuts) in (run.folder / name).read_text()
    assert 'class="ring"' in (run.folder / "report.html").read_text()


def test_the_same_command_neither_probes_nor_fits_again(run: llmtl.Run, lines: Heard):
    steps = {path: path.stat().st_mtime_ns for path in (run.folder / "steps").glob("*/result.json")}
    assert {path.parent.name.rsplit("-", 1)[0] for path in steps} >= {"forecast-qlora", "forecast-linear-probe"}
    again = Heard()
    llmtl.run(run.folder.parent / "recipe.yaml", out=run.folder, progress=again)
    assert not any(line.startswith(("Timing", "Forecasting", "Fitting")) for line in again.lines)
    told = [[line for line in heard.lines if line.startswith("Time for fitting")] for heard in (lines, again)]
    assert told[0] == told[1]  # the plan is the first one, though what fits took is known by now
    assert {path: path.stat().st_mtime_ns for path in (run.folder / "steps").glob("*/result.json")} == steps


def test_a_fit_is_kept_with_the_time_that_it_had(run: llmtl.Run):
    limit = run.fit("qlora").limit_seconds
    assert limit is not None
    assert 0 < limit <= 0.88 * 6
    assert run.fit("tfidf").limit_seconds is None
