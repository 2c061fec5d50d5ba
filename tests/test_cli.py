"""The command line: bad input gets one line with the cure, exit code 2, and writes nothing."""

import csv
import json
from pathlib import Path

import jsonschema
import pytest

from llmtl.cli import main

ROWS = [(f"please refund order {number} to my account", "refund") for number in range(20)] + [
    (f"my card {number * 37} was lost on the train", "card lost") for number in range(20)
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data.csv", ROWS)
    return tmp_path


def write(path: Path, rows: list[tuple[str, str]], header: tuple[str, str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that the command printed to stderr; checks exit code and that nothing was written."""
    assert main(["run", *arguments]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("llmtl: ")
    assert printed.count("\n") == 1
    assert "Traceback" not in printed
    assert not Path("runs").exists()
    return printed


COLUMNS = ("--text", "text", "--label", "label", "--model", "pocket-llama")


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


def test_bytes_that_are_not_utf8(here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "data.csv").write_bytes(b"text,label\nok,a\ncaf\xe9,b\n")
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


def test_a_folder_that_is_no_run(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", "nowhere", "--text", "x"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("of", ["decision", "recipe"])
def test_the_schemas_are_valid(capsys: pytest.CaptureFixture[str], of: str):
    assert main(["schema", of]) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_the_doctor_names_devices_engines_and_versions(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in ("CPU", "memory", "transformers", "vllm", "bitsandbytes", "torch"):
        assert word in shown
