"""Learning curves and label-noise sensitivity of real runs; only what needs no model is fitted."""

import csv
import random
from dataclasses import replace
from pathlib import Path

import pytest

import llmtl
from llmtl.findings import CascadeTrace
from llmtl.learning_curve import CURVES
from llmtl.pipeline.curve import focus_of
from llmtl.store import read_json
from llmtl.strategy import Role
from tests.support.decision_worlds import both
from tests.support.decision_worlds import run as decide_on

WORDS = {
    "refund": ("money", "back", "refund"),
    "lost": ("lost", "missing", "stolen"),
    "open": ("hours", "open", "closed"),
}


def rows(count: int) -> list[tuple[str, str]]:
    rng = random.Random(4)
    fillers = [f"word{number}" for number in range(60)]
    made = []
    for number in range(count):
        label = list(WORDS)[number % 3]
        said = label if rng.random() < 0.88 else rng.choice(list(WORDS))
        made.append((" ".join([*rng.sample(fillers, 6), rng.choice(WORDS[said])]), label))
    return made


def recipe(folder: Path, count: int, *lines: str) -> Path:
    with (folder / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows(count)])
    text = "name: tiny\ndata: {path: data.csv}\nmodel: {name: pocket-llama}\nstrategies: {run: [majority, tfidf]}\n"
    (folder / "recipe.yaml").write_text(text + "".join(f"{line}\n" for line in lines))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    folder = tmp_path_factory.mktemp("curve")
    made = recipe(folder, 400, "task: {target: 0.99}", "learning_curve: {strategies: [tfidf, few-shot]}")
    return llmtl.run(made, out=folder / "out")


def test_the_curve_grows_to_the_runs_own_evaluation(run: llmtl.Run):
    curves = CURVES.validate_python(read_json(run.folder / "curve.json"))
    [found] = curves.forecasts
    own = next(item for item in run.evaluations if (item.strategy, item.split) == ("tfidf", "dev"))
    assert [point.size for point in found.points] == sorted(point.size for point in found.points)
    assert len(found.points) == 5
    assert found.points[-1].score == own.scores["accuracy"].value
    assert found.points[0].score < found.points[-1].score
    assert curves.dev_examples == own.n
    assert list(curves.skipped) == ["few-shot"]
    assert curves.focus == ("tfidf", "majority")
    assert curves.best is not None
    assert curves.best.strategy == run.decision.winner


def test_the_report_has_curve_noise_and_money(run: llmtl.Run):
    page = run.report.read_text()
    assert all(f'id="{name}"' in page for name in ("labels", "noise", "money"))
    noise = read_json(run.folder / "noise.json")
    assert noise["unchecked"] is None
    assert noise["test"]
    assert noise["winner"] == "tfidf"
    assert noise["train"]
    assert {item["strategy"]: item["refitted"] for item in noise["scores"]} == {"majority": True, "tfidf": True}


def test_test_was_not_used_for_the_curve(run: llmtl.Run):
    # once for the run, and once more without the labels that look wrong
    assert len(list((run.folder / "steps").glob("test-tfidf-*"))) == 2
    assert len(list((run.folder / "steps").glob("dev-tfidf-*"))) == 5 + 1


def test_a_second_run_measures_nothing_again(run: llmtl.Run):
    results = {path: path.stat().st_mtime_ns for path in run.folder.glob("steps/*/result.json")}
    again = llmtl.run(run.folder.parent / "recipe.yaml", out=run.folder)
    assert {path: path.stat().st_mtime_ns for path in again.folder.glob("steps/*/result.json")} == results


@pytest.mark.parametrize(
    ("count", "line", "reason"),
    [
        (30, "learning_curve: {enabled: true}", "15 examples make 2 sizes worth measuring"),
        (24, "learning_curve: {enabled: true}", "12 examples make one size worth measuring"),
        (200, "learning_curve: {minutes: 0.000001}", "raise learning_curve.minutes"),
    ],
)
def test_what_is_not_measured_says_why(tmp_path: Path, count: int, line: str, reason: str):
    made = llmtl.run(recipe(tmp_path, count, line), out=tmp_path / "out")
    curves = CURVES.validate_python(read_json(made.folder / "curve.json"))
    assert curves.forecasts == ()
    assert reason in curves.skipped["tfidf"]


def test_the_curves_are_those_of_the_winner_and_of_its_best_rival_and_of_a_cascade_its_members():
    decision = decide_on(*both(60, majority=0.2, tfidf=0.7, zero_shot=0.5, qlora=0.9))
    assert focus_of(decision) == ("qlora", "tfidf")
    cascade = CascadeTrace("tfidf", "qlora", 0.5, 0.5, "accuracy", 60, 0.7, 0.9, (), 5)
    rows = (*decision.strategies, replace(decision.result("qlora"), name=cascade.name, role=Role.CASCADE))
    composed = replace(
        decision, winner=cascade.name, strategies=rows, choice=replace(decision.choice, cascades=(cascade,))
    )
    assert focus_of(composed) == ("qlora", "tfidf")


def test_curves_can_be_switched_off(tmp_path: Path):
    made = llmtl.run(recipe(tmp_path, 60, "learning_curve: {enabled: false}"), out=tmp_path / "out")
    assert not (made.folder / "curve.json").exists()
    assert 'id="labels"' not in made.report.read_text()


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> llmtl.Run:
    """Return a run with a tiny encoder and its control."""
    folder = tmp_path_factory.mktemp("controlled")
    made = recipe(folder, 200, f"encoder: '{tiny_encoder}'", "decision: {draws: 1, resamples: 1000}")
    text = made.read_text().replace("[majority, tfidf]", "[tfidf, encoder, from-scratch], encoder: {max_epochs: 1}")
    made.write_text(text)
    return llmtl.run(made, out=folder / "out")


def test_a_control_has_the_curve_of_what_it_controls_measured_and_says_what_that_is_worth(controlled: llmtl.Run):
    curves = CURVES.validate_python(read_json(controlled.folder / "curve.json"))
    assert "encoder" in [each.strategy for each in curves.forecasts]
    [worth] = curves.worth
    sizes = [point.size for each in curves.forecasts if each.strategy == "encoder" for point in each.points]
    assert (worth.strategy, worth.control) == ("encoder", "from-scratch")
    assert (worth.smallest, worth.available) == (sizes[0], sizes[-1])
    [transfer] = controlled.decision.transfer
    assert transfer.labels == worth
    assert "random weights" in controlled.report.read_text()


def test_a_quarter_of_train_is_tested_against_the_control_by_the_fit_of_the_curve(controlled: llmtl.Run):
    curves = CURVES.validate_python(read_json(controlled.folder / "curve.json"))
    [sizes] = [[point.size for point in each.points] for each in curves.forecasts if each.strategy == "encoder"]
    [item] = llmtl.load_run(controlled.folder).transfer.controls
    assert item.fewer is not None
    assert item.fewer.examples in sizes
    assert 0.17 < item.fewer.examples / item.fewer.available < 0.36
    assert item.fewer.difference.low <= item.fewer.difference.difference <= item.fewer.difference.high
    assert repr(controlled.transfer).startswith("<transfer: ")
    assert set(controlled.transfer.layers) == {"encoder"}
    assert "Did it transfer?" in controlled.report.read_text()
