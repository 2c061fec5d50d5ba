"""What a run measured goes into the recipe's README and its row of the table, and nowhere else."""

import tarfile
from pathlib import Path

import pytest

import llmtl

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ARCHIVES = ROOT / "tests" / "fixtures" / "runs"
pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="the documents are not there")


@pytest.fixture
def write_recipe(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import write_recipe

    return write_recipe


@pytest.fixture(scope="module", params=["classification", "extraction", "generation"])
def folder(request, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("kept")
    with tarfile.open(ARCHIVES / f"ce0dc59-{request.param}.tar.gz") as archive:
        archive.extractall(out, filter="data")
    return out / request.param


def test_the_section_has_every_strategy_and_the_winner_in_bold(write_recipe, folder):
    decision = llmtl.load_run(folder).decision
    text = write_recipe.section(folder, busy=True)
    assert text.startswith(f"Verdict **{decision.verdict}**, `{decision.winner}`. ")
    for item in decision.strategies:
        bold = "**" if item.name == decision.winner else ""
        assert f"\n| {bold}`{item.name}`{bold} | " in text
    winner = next(item.test for item in decision.strategies if item.name == decision.winner)
    assert f"`** | {winner.value:.3f} (" in text
    assert "beside other work" in text


def test_answers_that_are_right_in_full_are_counted_unless_they_are_free_texts(write_recipe, folder):
    run = llmtl.load_run(folder)
    text = " ".join(write_recipe.section(folder, busy=False).split())
    right = sum(answer == reference for answer, reference in _pairs(run))
    told = f"right in full: {right} of {len(_pairs(run))}"
    assert (told in text) == bool(run.task.labels)


def _pairs(run):
    done = next(e for e in run.evaluations if (e.strategy, e.split) == (run.decision.winner, "test"))
    return list(zip(done.answers, done.references, strict=True))


def test_only_what_is_between_the_marks_is_replaced(write_recipe):
    old = "before\n\n<!-- measured -->\nold\n<!-- /measured -->\n\nafter\n"
    assert write_recipe.with_section(old, "new\n") == old.replace("old", "new")
    with pytest.raises(SystemExit, match="no marks"):
        write_recipe.with_section("before and after", "new\n")


def test_only_the_last_column_of_its_own_row_is_replaced(write_recipe):
    old = "| [`a`](recipes/a/) | what | old |\n| [`ab`](recipes/ab/) | what | old |\n"
    new = "| [`a`](recipes/a/) | what | **tie** |\n| [`ab`](recipes/ab/) | what | old |\n"
    assert write_recipe.with_row(old, "a", "**tie**") == new
    with pytest.raises(SystemExit, match="no row of the recipe 'b'"):
        write_recipe.with_row(old, "b", "**tie**")
