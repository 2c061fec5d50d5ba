"""Winners that are not language models come back from JSON and safetensors as they were measured."""

import json
import shutil
from pathlib import Path

import pytest

from llmtl.engines.protocol import ModelSource
from llmtl.errors import BundleError
from llmtl.serving.bundle.local import load_local, write_local
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.strategies.majority import MajorityPredictor
from llmtl.strategies.tfidf import Tfidf, TfidfConfig
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

TASK = Task("t", ("b", "a", "never seen"))
TRAIN = tuple(
    Example(str(position), text, label)
    for position, (text, label) in enumerate(
        [
            ("caf\u00e9 au lait", "a"),
            ("tea, please \U0001f600", "b"),
            ("x \u4f60\u597d", "a"),
            ("more tea", "b"),
            ("A", "b"),
        ]
    )
)
TEXTS = ["tea \u4f60\u597d", "", "unknown words", "CAF\u00c9 \U0001f600 a"]


def fitted(folder: Path, features: str, train: tuple[Example, ...] = TRAIN):
    """Return a predictor with one kind of features."""
    folder.mkdir()
    context = FitContext(TASK, train, train, ModelSource("none"), lambda adapter: None, folder)
    return Tfidf(TfidfConfig(features=(features,))).fit(context).predictor


@pytest.mark.parametrize("strategy", ["tfidf", "majority"])
def test_the_recorded_probabilities_come_back(llama_run, bundle_of, strategy):
    folder = bundle_of(llama_run, strategy)
    bundle, rows = open_bundle(folder), read_recorded(folder)
    predictor = load_local(folder / "classifier", bundle.task, strategy)
    for row, now in zip(rows, predictor.predict([row.text for row in rows]), strict=True):
        assert now.answer == row.prediction
        assert dict(now.probabilities) == pytest.approx(row.probabilities, abs=1e-12)


@pytest.mark.parametrize("features", ["word", "word+char"])
def test_every_kind_of_features_comes_back_exactly(tmp_path, features):
    predictor = fitted(tmp_path / "fit", features)
    write_local(predictor, tmp_path / "files")
    again = load_local(tmp_path / "files", TASK, "tfidf")
    for now, then in zip(again.predict(TEXTS), predictor.predict(TEXTS), strict=True):
        assert now.probabilities == then.probabilities
        assert now.answer == then.answer
        assert now.probabilities["never seen"] == 0
    assert again.choice == predictor.choice


def test_texts_without_any_word(tmp_path):
    silent = tuple(Example(str(position), "!?", label) for position, label in enumerate("aab"))
    predictor = fitted(tmp_path / "fit", "word", silent)
    write_local(predictor, tmp_path / "files")
    [now] = load_local(tmp_path / "files", TASK, "tfidf").predict(["anything"])
    assert dict(now.probabilities) == pytest.approx({"b": 1 / 3, "a": 2 / 3, "never seen": 0})


def test_a_majority_needs_no_arrays(tmp_path):
    write_local(MajorityPredictor({"b": 0.25, "a": 0.75, "never seen": 0.0}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["classifier.json"]
    [now] = load_local(tmp_path, TASK, "majority").predict(["anything"])
    assert (now.answer, list(now.probabilities)) == ("a", ["b", "a", "never seen"])


def test_nothing_in_it_can_run_code(llama_run, bundle_of):
    folder = bundle_of(llama_run, "tfidf")
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} <= {
        ".json",
        ".jsonl",
        ".safetensors",
        ".md",
        "",
    }
    json.loads((folder / "classifier" / "classifier.json").read_text())


@pytest.mark.parametrize("spoil", ["missing", "arrays", "facts", "idf"])
def test_damage_is_one_line(llama_run, bundle_of, tmp_path, spoil):
    folder = Path(shutil.copytree(bundle_of(llama_run, "tfidf") / "classifier", tmp_path / "spoiled"))
    if spoil == "missing":
        (folder / "classifier.safetensors").unlink()
    elif spoil == "arrays":
        (folder / "classifier.safetensors").write_bytes(b"nonsense")
    elif spoil == "facts":
        (folder / "classifier.json").write_text('{"kind": "tfidf"}')
    else:
        facts = json.loads((folder / "classifier.json").read_text())
        facts["parts"][0]["terms"].pop()
        (folder / "classifier.json").write_text(json.dumps(facts))
    with pytest.raises(BundleError, match="missing or damaged; export the bundle again"):
        load_local(folder, llama_run.task, "tfidf")


def test_a_strategy_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"'theirs' is not installed; install the package that has it"):
        load_local(tmp_path, TASK, "theirs")
