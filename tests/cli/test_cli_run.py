"""`llmtl run`: bad input gets one line with the cure, exit code 2, and writes nothing."""

import json
from pathlib import Path

import pytest

from llmtl.cli import main
from tests.support.cli_checks import COLUMNS, ROWS, RULES, refused, write


def test_a_missing_file(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "none.csv" in refused(capsys, "none.csv", *COLUMNS)


def test_a_missing_column_names_the_nearest(here: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "data.csv", "--text", "txt", "--label", "label", "--model", "pocket-llama")
    assert "'txt'" in line
    assert "text" in line


def test_options_that_a_data_file_needs(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "--label and --model" in refused(capsys, "data.csv", "--text", "text")


@pytest.mark.parametrize(
    ("rows", "expected"),
    [([], "data.csv"), ([("one", "a"), ("two", "a"), ("three", "a")], "only the label 'a'")],
)
def test_empty_and_single_class_data(
    here: Path, capsys: pytest.CaptureFixture[str], rows: list[tuple[str, str]], expected: str
):
    write(here / "data.csv", rows)
    assert expected in refused(capsys, "data.csv", *COLUMNS)


def test_a_label_that_is_not_listed(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "card lost" in refused(capsys, "data.csv", "task.labels=[refund, card los]", *COLUMNS)


def test_a_file_says_what_labels_mean(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "labels.yaml").write_text("refund: money back\ncard los: null\n")
    assert "card lost" in refused(capsys, "data.csv", "--labels", "labels.yaml", *COLUMNS)
    (here / "labels.yaml").write_text("refund: ''\ncard lost: null\n")
    assert "the description of 'refund' is empty" in refused(capsys, "data.csv", "--labels", "labels.yaml", *COLUMNS)
    assert "'none.yaml' does not exist" in refused(capsys, "data.csv", "--labels", "none.yaml", *COLUMNS)


def test_bytes_that_are_not_utf8(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "data.csv").write_bytes(b"text,label\n\x81\xe9,a\n")
    assert "UTF-8" in refused(capsys, "data.csv", *COLUMNS)


def test_all_problems_of_a_recipe_at_once(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "recipe.yaml").write_text(
        "name: x\ndata: {path: data.csv, txt: text}\nmodel: {name: pocket-llama}\n"
        "strategies: {qlora: {rnk: 1, rank: 0}}\n"
    )
    line = refused(capsys, "recipe.yaml")
    assert "3 problems" in line
    assert "unknown key 'data.txt' (did you mean 'text'?)" in line
    assert "unknown key 'strategies.qlora.rnk' (did you mean 'rank'?)" in line
    assert "'strategies.qlora.rank'" in line


def test_an_unknown_strategy_names_the_nearest(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "few-shot" in refused(capsys, "data.csv", "strategies.run=[few-shoot]", *COLUMNS)


def test_a_model_of_another_family(here: Path, capsys: pytest.CaptureFixture[str], tiny_llama: Path):
    folder = here / "bert"
    folder.mkdir()
    for path in tiny_llama.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "bert", "architectures": ["BertModel"]}))
    assert "bert" in refused(capsys, "data.csv", *COLUMNS[:-1], str(folder))


def test_a_model_without_safetensors(here: Path, capsys: pytest.CaptureFixture[str], tiny_llama: Path):
    folder = here / "pickled"
    folder.mkdir()
    (folder / "config.json").write_bytes((tiny_llama / "config.json").read_bytes())
    (folder / "pytorch_model.bin").write_bytes(b"")
    assert "safetensors" in refused(capsys, "data.csv", *COLUMNS[:-1], str(folder))


def test_a_context_too_short_for_the_longest_example(here: Path, capsys: pytest.CaptureFixture[str], tiny_llama: Path):
    write(here / "data.csv", [*ROWS, ("card " * 600, "card lost")])
    line = refused(capsys, "data.csv", *COLUMNS[:-1], str(tiny_llama))
    assert "512" in line


def test_overrides_may_follow_the_options(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", "data.csv", *COLUMNS, *RULES, "seed=3", "--out", "runs/x"]) == 0
    assert "seed: 3" in Path("runs/x/recipe.yaml").read_text()


def test_a_budget_without_end(here: Path, capsys: pytest.CaptureFixture[str]):
    assert "budget.minutes" in refused(capsys, "data.csv", *COLUMNS, "--budget-minutes", "inf")


@pytest.mark.parametrize("out", ["file", "file/run"])
def test_a_run_folder_that_cannot_be_made(here: Path, capsys: pytest.CaptureFixture[str], out: str):
    (here / "file").write_text("mine")
    assert "'file" in refused(capsys, "data.csv", *COLUMNS, *RULES, "--out", out)
    assert (here / "file").read_text() == "mine"


def test_a_recipe_is_not_overwritten_by_its_run(here: Path, capsys: pytest.CaptureFixture[str]):
    mine = "name: mine\ndata: {path: data.csv}\nmodel: {name: pocket-llama}\n"
    (here / "recipe.yaml").write_text(mine)
    assert "is a recipe" in refused(capsys, "recipe.yaml", *RULES, "--out", ".")
    assert (here / "recipe.yaml").read_text() == mine


def test_a_run_of_other_data_is_not_overwritten(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", "data.csv", *COLUMNS, *RULES, "--out", "run"]) == 0
    decided = (here / "run" / "decision.json").read_bytes()
    write(here / "other.csv", ROWS[5:35])
    assert f"holds a run with data.path '{Path('data.csv').resolve()}'" in refused(
        capsys, "other.csv", *COLUMNS, *RULES, "--out", "run"
    )
    assert (here / "run" / "decision.json").read_bytes() == decided
    again = ["run", str(here / "data.csv"), *COLUMNS, *RULES, "seed=1", "--out", "run"]
    assert main(again) == 0  # the same file by another spelling, and another choice


def test_data_without_columns_in_python(here: Path):
    import llmtl

    for given in ({}, {"text": "text"}):
        with pytest.raises(llmtl.LlmtlError, match="also needs text, label and model"):
            llmtl.run("data.csv", **given)
    with pytest.raises(llmtl.LlmtlError, match="Overrides are a list"):
        llmtl.run("data.csv", text="text", label="label", model="pocket-llama", overrides="seed=3")
