"""The report made again from a run folder: the same without serving, the served figures with it."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import llmtl
from llmtl.decision.outcome import Verdict
from llmtl.errors import RunError
from llmtl.measured.endpoint import SERVED, SERVING_FILE, Load, Parity, Served
from llmtl.pipeline.report import as_served, read_served, refresh_report, report_content
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
    assert set(content.fit_findings) == {"majority", "tfidf"}
    assert [finding.check for finding in content.findings]
    assert content.provenance["data fingerprint (SHA-256)"]
    assert content.decision == run.decision
    assert content.served is None


def read_lines(run: llmtl.Run, split: str) -> list[str]:
    return (run.folder / "data" / f"{split}.jsonl").read_text().splitlines()


def test_the_served_cost_stands_everywhere_and_the_decision_file_stays(run: llmtl.Run):
    decided = (run.folder / "decision.json").read_bytes()
    serve(run, served(run))
    assert (run.folder / "decision.json").read_bytes() == decided
    for text in texts(run):
        assert "As served" in text
        assert "$0.25" in text
        assert "0.25 USD per 1,000 requests" in text
    content = report_content(run)
    by_name = {result.name: result for result in content.decision.strategies}
    offline = {result.name: result for result in run.decision.strategies}
    assert (by_name["tfidf"].usd_per_1k_requests, by_name["tfidf"].p50_ms, by_name["tfidf"].p95_ms) == (0.25, 3.25, 4.5)
    requests = run.recipe.prices.requests
    trained = offline["tfidf"].usd_total - offline["tfidf"].usd_per_1k_requests * requests / 1000
    assert by_name["tfidf"].usd_total == pytest.approx(trained + 0.25 * requests / 1000)
    assert by_name["majority"] == offline["majority"]
    assert content.decision.comparisons == run.decision.comparisons


def test_a_limit_that_the_server_breaks_is_a_warning(run: llmtl.Run):
    slow = served(run, loads=(Load(1, 50, 0, 300.0, 900.0, 3.0),))
    assert "decision.max_p95_ms is 500" not in " ".join(as_served(run, served(run))[1].warnings)
    assert "decision.max_p95_ms is 500" in " ".join(as_served(run, slow)[1].warnings)


def test_a_cost_that_would_have_decided_otherwise_changes_no_verdict_but_is_told(run: llmtl.Run):
    decision = run.decision
    assert (decision.verdict, decision.winner) == (Verdict.BASELINE, "tfidf")
    other = replace(run, result=replace(run.result, decision=replace(decision, verdict=Verdict.INCONCLUSIVE)))
    shown, summary = as_served(other, served(run))
    assert (shown.verdict, shown.winner, summary.reason) == (Verdict.INCONCLUSIVE, "tfidf", other.summary.reason)
    assert summary.reasons[:-1] == other.summary.reasons
    assert "it would be: use the baseline: tfidf." in summary.warnings[-1]


def test_latency_stays_offline_where_none_was_measured_alone(run: llmtl.Run):
    shown, _ = as_served(run, served(run, loads=(Load(8, 50, 0, 300.0, 900.0, 3.0),)))
    offline = next(result for result in run.decision.strategies if result.name == "tfidf")
    assert next(result.p95_ms for result in shown.strategies if result.name == "tfidf") == offline.p95_ms


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
    index = read_json(run.folder / "index.json")
    write_json(run.folder / "index.json", {key: index[key] for key in ("task", "fits", "evaluations")})
    with pytest.raises(RunError, match=r"lacks findings, skipped, .* give the same `llmtl run` again"):
        refresh_report(run.folder)


def test_a_damaged_measurement_says_where(run: llmtl.Run):
    document = SERVED.dump_python(served(run), mode="json") | {"loads": "many"}
    (run.folder / SERVING_FILE).write_text(json.dumps(document))
    with pytest.raises(RunError, match=r"at 'loads'.*serve again"):
        refresh_report(run.folder)
