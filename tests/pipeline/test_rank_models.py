"""`llmtl rank-models`: which models are read, what is printed, and what is refused."""

import csv
import json
import shutil

import pytest

from llmtl.cli import main
from llmtl.pocket import resolve
from tests.support.encoders import WORDS

QUEUES = {"cards": "i lost my card", "refunds": "please refund the order", "parcels": "where is a parcel"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a file with messages to three queues, and a column of several tags."""
    path = tmp_path_factory.mktemp("ranked") / "messages.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["message", "queue", "tags"])
        for at in range(90):
            queue, begun = list(QUEUES.items())[at % 3]
            others = " ".join(WORDS[(at * step) % len(WORDS)] for step in (1, 3, 5, 7))
            rows.writerow([f"{begun} {others} {at}", queue, f"{queue};odd" if at % 2 else queue])
    return path


def ranked(*arguments, capsys):
    """Return what the command prints as JSON."""
    assert main(["rank-models", *map(str, arguments), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_language_models_and_encoders_are_ranked_together_on_train_alone(data, tiny_encoder, capsys):
    columns = ("--text", "message", "--label", "queue")
    found = ranked(data, *columns, "--models", "pocket-llama", tiny_encoder, capsys=capsys)
    assert found["examples"] < 90, "dev and test are not read"
    assert found["labels"] == 3
    logmes = [each["logme"] for each in found["models"]]
    assert {each["name"] for each in found["models"]} == {"pocket-llama", str(tiny_encoder)}
    assert logmes == sorted(logmes, reverse=True)
    [encoder] = [each for each in found["models"] if each["name"] == str(tiny_encoder)]
    assert len(encoder["layers"]) == 3, "the embeddings and two layers"
    assert encoder["logme"] == pytest.approx(sum(each["logme"] for each in encoder["layers"][1:]) / 2)
    assert main(["rank-models", str(data), *columns, "--models", str(tiny_encoder), "--examples", "30"]) == 0
    told = capsys.readouterr().out
    assert "A shortlist, never a verdict" in told
    assert "30 training examples, 3 labels" in told


def test_texts_with_several_labels_are_ranked_label_by_label(data, tiny_encoder, capsys):
    given = ("--text", "message", "--label", "tags", "--task", "multi-label", "data.label_separator=;")
    found = ranked(data, *given, "--models", tiny_encoder, capsys=capsys)
    assert found["labels"] == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--models", "no/such/folder"], "no/such/folder' does not exist"),
        (["--models", "pocket-llama", "--task", "generation"], "Models are ranked by the labels of texts"),
        (["--models", "pocket-llama", "--examples", "1"], "'--examples' must be at least 2, got 1"),
    ],
)
def test_what_cannot_be_ranked_is_refused_in_a_line(data, changed, said, capsys):
    assert main(["rank-models", str(data), "--text", "message", "--label", "queue", *changed, "--quiet"]) == 2
    assert said in capsys.readouterr().err


def test_a_data_file_needs_its_columns(data, capsys):
    assert main(["rank-models", str(data), "--text", "message", "--models", "pocket-llama", "--quiet"]) == 2
    assert "also needs --label" in capsys.readouterr().err


def test_a_model_without_a_tokenizer_is_refused_before_any_is_read(data, tmp_path, capsys):
    folder = tmp_path / "bare"
    shutil.copytree(resolve("pocket-llama"), folder, ignore=shutil.ignore_patterns("token*", "special*"))
    columns = ("--text", "message", "--label", "queue")
    assert main(["rank-models", str(data), *columns, "--models", "pocket-llama", str(folder), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert "tokenizer" in said
    assert said.count("\n") == 1


def test_two_examples_rank_and_one_label_does_not(tmp_path, capsys):
    path = tmp_path / "few.csv"
    columns = ("--text", "text", "--label", "label", "--models", "pocket-llama", "--examples", "2")
    for labels, code in (("ab", 0), ("a", 2)):
        rows = [f"message {WORDS[at % len(WORDS)]} {at},{labels[at % len(labels)]}" for at in range(60)]
        path.write_text("text,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
        assert main(["rank-models", str(path), *columns, "--quiet"]) == code
    out, err = capsys.readouterr()
    assert "2 training examples, 2 labels" in out
    assert "label" in err
    assert err.count("\n") == 1
