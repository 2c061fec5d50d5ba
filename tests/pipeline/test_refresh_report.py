"""The report made again from a run folder: the decision as it was made, and beside it what was served."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import llmtl
from llmtl.errors import RunError
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Load, Parity, Served
from llmtl.pipeline.report import read_served, refresh_report, report_content
from llmtl.pipeline.run_format import reseal
from llmtl.report import summarize
from llmtl.report.serving import usd_per_month
from llmtl.report.titled import titled_decision
from llmtl.report.wording import readable_usd
from llmtl.seals import SEAL
from llmtl.store import read_json, write_json

REPORTS = ("report.html", "report.md")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    """A run of the two baselines on messages whose label is one word, with a target and a limit on latency."""
    folder = tmp_path_factory.mktemp("baselines")
    things = ("card", "order", "parcel", "account", "payment", "receipt", "ticket", "voucher", "phone", "bill")
    rows = [(f"please refund the {thing} of {day}", "refund") for thing in things for day in ("monday", "july", "may")]
    rows += [(f"i lost my {thing} {where}", "lost") for thing in things for where in ("on a train", "at work", "again")]
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(
        "name: lost-and-refund\ndata: {path: data.csv}\nmodel: {name: pocket-llama}\n"
        "strategies: {run: [majority, tfidf]}\ndecision: {max_p95_ms: 500}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "out")


@pytest.fixture
def run(finished: llmtl.Run, tmp_path: Path) -> llmtl.Run:
    shutil.copytree(finished.folder, tmp_path / "out")
    return llmtl.load_run(tmp_path / "out")


def served(run: llmtl.Run, **changes) -> Served:
    parity = Parity(12, 12, required=0.995, passed=True, largest_difference=0.0)
    loads = (Load(1, 50, 0, 3.25, 4.5, 300.0), Load(64, 640, 0, 40.0, 90.0, 1500.0))
    made = Served(run.task.name, "tfidf", "llmtl 0.1.0", "cpu", "2026-11-23T18:00:00+00:00", parity, loads, 0.25)
    return replace(made, **changes)


def serve(run: llmtl.Run, measured: Served) -> None:
    write_json(run.folder / SERVING_FILE, SERVED.dump_python(measured, mode="json"))
    reseal(run.folder)
    refresh_report(run.folder)


def texts(run: llmtl.Run) -> list[str]:
    return [(run.folder / name).read_text() for name in REPORTS]


def test_refreshing_an_unserved_run_changes_no_byte(run: llmtl.Run):
    before = [(run.folder / name).read_bytes() for name in REPORTS]
    for name in REPORTS:
        (run.folder / name).unlink()
    refresh_report(run.folder)
    assert [(run.folder / name).read_bytes() for name in REPORTS] == before


def test_everything_the_report_shows_is_read_back(run: llmtl.Run):
    content = report_content(run)
    assert content.sizes == {name: len(read_lines(run, name)) for name in ("train", "dev", "test")}
    assert set(content.fit_findings) == {"Most frequent answer", "TF-IDF and logistic regression"}
    assert [finding.check for finding in content.findings]
    assert content.provenance["data fingerprint (SHA-256)"]
    assert content.decision == titled_decision(run.decision)
    assert content.served is None


def read_lines(run: llmtl.Run, split: str) -> list[str]:
    return (run.folder / "data" / f"{split}.jsonl").read_text().splitlines()


def test_the_served_figures_stand_beside_a_decision_that_stays(run: llmtl.Run):
    decided = (run.folder / "decision.json").read_bytes()
    serve(run, served(run))
    assert (run.folder / "decision.json").read_bytes() == decided
    month = f"{readable_usd(usd_per_month(served(run), run.recipe.prices))} per month"
    for text in texts(run):
        assert "As served" in text
        takes = f"takes {month} of 100,000 requests, 3.2 ms at the median and 4.5 ms at the 95th percentile"
        assert f"TF-IDF and logistic regression {takes}" in text
    content = report_content(run)
    assert content.decision == titled_decision(run.decision)
    assert content.summary.reasons[:-1] == summarize(content.decision).reasons
    assert content.served == replace(served(run), strategy="TF-IDF and logistic regression")


def test_a_limit_that_the_server_breaks_is_a_warning(run: llmtl.Run):
    serve(run, served(run))
    assert report_content(run).summary.warnings == run.summary.warnings
    serve(run, served(run, loads=(Load(1, 50, 0, 300.0, 900.0, 3.0),)))
    assert report_content(run).summary.warnings == (
        *run.summary.warnings,
        "As served, TF-IDF and logistic regression could not have been chosen: it takes 900 ms at the 95th "
        "percentile, and decision.max_p95_ms is 500.",
    )


def test_latency_is_not_told_where_none_was_measured_alone(run: llmtl.Run):
    serve(run, served(run, loads=(Load(8, 50, 0, 300.0, 900.0, 3.0),)))
    content = report_content(run)
    assert "at the median" not in content.summary.reasons[-1]
    assert content.summary.warnings == run.summary.warnings


@pytest.mark.parametrize("change", [{"task": "another"}, {"strategy": "qlora"}])
def test_what_was_measured_of_something_else_is_not_shown(run: llmtl.Run, change: dict[str, str]):
    serve(run, served(run, **change))
    assert read_served(run) is None
    assert "As served" not in texts(run)[0]


def test_running_again_keeps_the_serving_of_the_same_decision_and_drops_that_of_another(run: llmtl.Run):
    serve(run, served(run))
    recipe = run.folder / "recipe.yaml"
    llmtl.run(recipe, out=run.folder)
    assert "As served" in texts(run)[0]
    llmtl.run(recipe, out=run.folder, overrides=["prices.usd_per_cpu_hour=9"])
    assert not (run.folder / SERVING_FILE).exists()
    assert "As served" not in texts(run)[0]


def test_a_run_of_before_says_what_to_do(run: llmtl.Run):
    (run.folder / SEAL).unlink()
    index = read_json(run.folder / "index.json")
    write_json(run.folder / "index.json", {key: index[key] for key in ("task", "fits", "evaluations")})
    with pytest.raises(RunError, match=r"lacks findings, skipped, .* give the same `llmtl run` again"):
        refresh_report(run.folder)


def test_a_damaged_measurement_says_where(run: llmtl.Run):
    document = SERVED.dump_python(served(run), mode="json") | {"loads": "many"}
    (run.folder / SERVING_FILE).write_text(json.dumps(document))
    with pytest.raises(RunError, match=r"at 'loads'.*serve again"):
        refresh_report(run.folder)
