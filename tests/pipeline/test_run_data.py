"""Repeating a run: from its data where that is still the same, else from the examples that its folder keeps."""

import pytest
import yaml

import llmtl
from llmtl.errors import DataError, MissingFileError
from llmtl.pipeline.run_format import seal_run
from llmtl.progress import Silent
from llmtl.store import read_json_lines
from tests.support.cli_checks import ROWS, RULES, write
from tests.support.made_once import made_once

PARTS = ("train", "dev", "test")


class Lines(Silent):
    """A progress that keeps what is said."""

    def __init__(self):
        self.said = []

    def say(self, line):
        self.said.append(line)


@pytest.fixture
def finished(tmp_path_factory):
    """A run beside the file that it was made from."""

    def make(folder):
        data = write(folder / "data.csv", ROWS)
        llmtl.run(data, text="text", label="label", model="pocket-llama", overrides=RULES, out=folder / "run")

    folder = made_once(tmp_path_factory, "a run to repeat", make)
    recipe = folder / "run" / "recipe.yaml"
    said = yaml.safe_load(recipe.read_text())
    said["data"]["path"] = str(folder / "data.csv")
    recipe.write_text(yaml.safe_dump(said))
    seal_run(recipe.parent)
    return folder / "run"


def repeat(run, out, **options):
    lines = Lines()
    llmtl.run(run / "recipe.yaml", out=out, progress=lines, **options)
    return " ".join(lines.said)


def parts(run):
    return {name: read_json_lines(run / "data" / f"{name}.jsonl") for name in PARTS}


def test_the_same_data_is_known_by_its_fingerprint_from_any_folder(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = finished.parent / "data.csv"
    write(data, ROWS[::-1])  # the order of rows is no part of it
    assert f"'{data}' is what the run was made from, by its fingerprint." in repeat(finished, tmp_path / "again")


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_data_that_is_gone_or_changed_comes_from_the_copy_in_its_split(finished, tmp_path, what):
    data = finished.parent / "data.csv"
    if what == "gone":
        data.unlink()
        why = "is gone"
    else:
        write(data, [*ROWS, ("an order that came later", "refund")])
        why = "has changed since"
    said = repeat(finished, tmp_path / "again")
    assert (
        f"'{data}' {why}: the {len(ROWS)} examples are those that '{finished}' keeps in data/, split as they were"
        in said
    )
    assert parts(tmp_path / "again") == parts(finished)
    first, second = (llmtl.load_run(each) for each in (finished, tmp_path / "again"))
    assert second.task == first.task
    assert second.predictions("majority").to_pandas().equals(first.predictions("majority").to_pandas())
    assert "is gone" in repeat(tmp_path / "again", tmp_path / "third") or what == "changed"


def test_a_run_whose_data_is_gone_resumes_without_measuring_again(finished):
    (finished.parent / "data.csv").unlink()
    before = {path: path.stat().st_mtime_ns for path in finished.glob("steps/*/result.json")}
    assert "is gone" in repeat(finished, finished)
    assert {path: path.stat().st_mtime_ns for path in finished.glob("steps/*/result.json")} == before


def test_other_data_that_is_named_on_purpose_is_not_replaced_by_the_copy(finished, tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.csv"):
        repeat(finished, tmp_path / "again", overrides=[f"data.path={tmp_path / 'none.csv'}"])


def test_labels_that_the_copy_does_not_have_are_refused(finished, tmp_path):
    (finished.parent / "data.csv").unlink()
    with pytest.raises(DataError, match="keeps have the label 'refund', which is not one of the task's"):
        repeat(finished, tmp_path / "again", labels=["card lost", "other"])
