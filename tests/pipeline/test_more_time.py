"""Strategies that were cut are fitted again with what the others left."""

import re
from pathlib import Path

import pytest

import llmtl
from llmtl.findings import Cut, Unit
from llmtl.measured.fitting import FitRecord
from llmtl.pipeline.more_time import LONGER, ROOM, worth_it
from llmtl.pipeline.shares import FitTimes
from llmtl.store import read_json
from tests.support.training_jobs import Heard

KINDS = {"refund": "give me back my money for order {}", "login": "i cannot sign in to account {}"}
FIRST = 0.05
"""Seconds that the first fit gets: less than two steps take."""


def record(done: float, planned: float, *, seconds: float = 10.0) -> FitRecord:
    return FitRecord(seconds, "cpu", findings=(Cut(done, planned, Unit.EPOCHS),), limit_seconds=seconds)


def test_it_is_given_what_it_takes_with_some_room_and_no_more():
    assert worth_it(record(2, 10), 1000) == pytest.approx(ROOM * 50)
    assert worth_it(record(2, 10), 55) == 55


def test_it_is_not_fitted_again_for_a_little_more_unless_that_is_all_it_lacks():
    assert worth_it(record(2, 10), LONGER * 10 - 0.1) is None
    assert worth_it(record(2, 10), LONGER * 10) == LONGER * 10
    assert worth_it(record(9, 10), 11.2) == 11.2  # to the end
    assert worth_it(record(9, 10), 11.0) is None


def test_what_was_not_cut_or_had_no_limit_is_left_alone():
    assert worth_it(FitRecord(10.0, "cpu", limit_seconds=10.0), 1000) is None
    assert worth_it(FitRecord(10.0, "cpu", findings=record(2, 10).findings), 1000) is None


@pytest.fixture(scope="module")
def lines() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path, lines: Heard) -> llmtl.Run:
    folder = tmp_path_factory.mktemp("longer")
    rows = [f"{text.format(at)},{label}" for at in range(40) for label, text in KINDS.items()]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: longer\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\n"
        f"model: {{name: '{tiny_llama}', engine: transformers}}\nencoder: null\nbudget: {{minutes: 10}}\n"
        "strategies: {run: [majority, qlora], qlora: {max_epochs: 2, learning_rate: 0.001}}\n"
        "decision: {resamples: 1000, draws: 1}\nlearning_curve: {enabled: false}\nlabel_noise: {refit_minutes: 0}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FitTimes, "limit", lambda self, name: FIRST)
        return llmtl.run(folder / "recipe.yaml", out=folder / "run", progress=lines)


def test_one_that_was_cut_is_fitted_to_its_end_with_the_time_that_is_left(run: llmtl.Run, lines: Heard):
    [said] = [line for line in lines.lines if "the others left time" in line]
    assert said.startswith("qlora stopped after ")
    again = run.fit("qlora")
    assert again.cuts == ()
    assert run.decision.result("qlora").cuts == ()
    [kept] = [read_json(path / "result.json") for path in run.folder.glob("steps/more-time-*")]
    assert again.limit_seconds == kept > FIRST
    assert len(list(run.folder.glob("steps/fit-qlora-*"))) == 2


def test_what_the_first_fit_took_counts_in_what_the_decision_cost(run: llmtl.Run):
    fits = [read_json(path / "result.json")["train_seconds"] for path in run.folder.glob("steps/fit-qlora-*")]
    spent = read_json(run.folder / "decision.json")["spending"]["fitting"]["seconds"]
    assert spent >= sum(fits)


def test_the_report_says_that_it_was_fitted_twice(run: llmtl.Run):
    told = (run.folder / "report.md").read_text()
    assert re.search(r"was fitted twice: its time limit stopped the first fit after [^,]+, and the others left", told)


def test_the_same_command_fits_nothing_again(run: llmtl.Run):
    again = Heard()
    llmtl.run(run.folder.parent / "recipe.yaml", out=run.folder, progress=again)
    assert not any(line.startswith("Fitting") for line in again.lines)
    assert run.fit("qlora").cuts == ()
