"""A strategy of another package, found by its entry point: run, report, export and serving work with it."""

import csv
import json
import subprocess
import sys

import pytest

STRATEGY = """
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from llmtl.strategy import Facts, Fitted, LocalServed, Prediction, Role, Strategy


class KeywordConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    shortest: int = Field(default=3, ge=1, description="Characters that a keyword has at least.")


class KeywordPredictor:
    def __init__(self, labels, words):
        self.labels, self.words = labels, words

    def predict(self, inputs, *, advance=lambda units: None):
        telling = [next((word for word in text.split() if word in self.words), "") for text in inputs]
        found = [self.words.get(word, self.labels[0]) for word in telling]
        advance(len(inputs))
        return [
            Prediction(str(n), label, {each: float(each == label) for each in self.labels})
            for n, label in enumerate(found)
        ]

    def save(self, folder):
        (Path(folder) / "words.json").write_text(json.dumps(self.words))

    def served(self):
        return LocalServed()


class Keyword(Strategy[KeywordConfig]):
    section = KeywordConfig
    facts = Facts(name="key-word", role=Role.BASELINE, served=LocalServed, summary="The first telling word.",
                  made_with="keywords", is_made_by="a list of words")

    def fit(self, context):
        seen = {}
        for example in context.train:
            for word in example.text.split():
                if len(word) >= self.config.shortest:
                    seen.setdefault(word, set()).add(example.reference)
        words = {word: labels.pop() for word, labels in seen.items() if len(labels) == 1}
        return Fitted(KeywordPredictor(context.task.labels, words))

    def load(self, context, folder):
        return KeywordPredictor(context.task.labels, json.loads((Path(folder) / "words.json").read_text()))
"""
USE = """
import json, sys
from starlette.testclient import TestClient
import llmtl
from llmtl.serving.task_api.classifier_app import create_app

run = llmtl.run("recipe.yaml", out="run")
bundle = llmtl.export(run, strategy="key-word")
card = (bundle / "README.md").read_text()
with TestClient(create_app(bundle, environment={})) as http:
    said = http.post("/v1/predict", json={"inputs": ["my refund", "lost it"]}).json()
again = llmtl.load_run("run")
print(json.dumps({
    "winners": [each.name for each in run.decision.strategies],
    "score": next(e.scores["accuracy"].value for e in run.evaluations if (e.strategy, e.split) == ("key-word", "test")),
    "report": (run.folder / "report.md").read_text().count("key-word"),
    "made": ["keywords" in card, "a list of words" in card],
    "said": [row["label"] for row in said["data"]],
    "again": [each.answer for each in again.predictor("key-word").predict(["my refund"])],
}))
"""


@pytest.fixture
def site(tmp_path):
    """Return a folder with the installed package; what an installer would write is written by hand."""
    folder = tmp_path / "site"
    info = folder / "llmtl_keywords-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "llmtl_keywords.py").write_text(STRATEGY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llmtl-keywords\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llmtl.strategies]\nkey-word = llmtl_keywords:Keyword\n")
    return folder


def python(site, folder, code):
    program = f"import sys; sys.path.insert(0, {str(site)!r})\n{code}"
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


def test_run_report_export_and_serving_work_with_it(site, tmp_path):
    rows = [
        (f"{word} {n} of order", label) for n in range(30) for word, label in (("refund", "money"), ("lost", "card"))
    ]
    with (tmp_path / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (tmp_path / "recipe.yaml").write_text(
        "name: mail\ndata: {path: data.csv, near_duplicate_threshold: 1.0}\nmodel: {name: pocket-llama}\n"
        "strategies: {run: [majority, key-word], key_word: {shortest: 4}}\n"
        "learning_curve: {enabled: false}\ndecision: {resamples: 1000}\n"
    )
    done = python(site, tmp_path, USE)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["winners"] == ["majority", "key-word"]
    assert found["score"] == 1.0
    assert found["report"] > 0
    assert found["made"] == [True, True]
    assert found["said"] == ["money", "card"]
    assert found["again"] == ["money"]


@pytest.mark.parametrize(
    ("point", "changes", "told"),
    [
        ("key-word = llmtl_keywords:Missing", ("", ""), "cannot be loaded (AttributeError"),
        ("key-word = llmtl_keywords:KeywordConfig", ("", ""), "is not a subclass of llmtl.strategy.Strategy"),
        ("other = llmtl_keywords:Keyword", ('name="key-word"', 'name="tfidf"'), "has the name 'tfidf'"),
        (
            "key-word = llmtl_keywords:Keyword",
            ("served=LocalServed", "served=int"),
            "is served as int, and llmtl serves",
        ),
    ],
)
def test_one_that_cannot_be_used_is_one_line_when_a_recipe_is_read(site, point, changes, told):
    (site / "llmtl_keywords-1.0.dist-info" / "entry_points.txt").write_text(f"[llmtl.strategies]\n{point}\n")
    (site / "llmtl_keywords.py").write_text(STRATEGY.replace(*changes) if changes[0] else STRATEGY)
    code = """
from llmtl.errors import RecipeError
from llmtl.recipe import validate
from llmtl.strategies.table import StrategiesConfig
try:
    validate(StrategiesConfig, {}, source="test")
except RecipeError as error:
    print(error)
"""
    done = python(site, site, code)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    assert "of the package 'llmtl-keywords'" in done.stdout
    assert "repair or uninstall that package" in done.stdout
    assert len(done.stdout.splitlines()) == 1
