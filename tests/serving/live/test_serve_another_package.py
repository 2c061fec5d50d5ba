"""Strategies of a package outside llmtl: measured, reported, exported and served like any other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import openai
import pytest

from tests.support.serve_process import serving

PACKAGE = Path(__file__).parents[2] / "support" / "another_package"
NAMES = ("longest-word", "reweighted")


@pytest.fixture(scope="module")
def environment():
    """Return the environment of a Python in which the package is installed: its metadata is found on the path."""
    path = os.pathsep.join([str(PACKAGE), os.environ.get("PYTHONPATH", str(Path(__file__).parents[3]))])
    return os.environ | {"PYTHONPATH": path}


def llmtl(*arguments, environment):
    done = subprocess.run(
        [sys.executable, "-m", "llmtl.cli", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory, environment):
    """Return the folder of a run that measured both strategies beside the majority."""
    folder = tmp_path_factory.mktemp("letters")
    rows = [f"the {word} number {n},{label}" for n in range(40) for word, label in (("cat", "a"), ("elephant", "b"))]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: letters\ndata: {path: data.csv, near_duplicate_threshold: 1.0, max_dev: 12, max_test: 20}\n"
        f"model: {{name: pocket-llama, engine: transformers}}\nstrategies: {{run: [majority, {', '.join(NAMES)}]}}\n"
        "decision: {resamples: 1000}\nlearning_curve: {enabled: false}\n"
    )
    llmtl("run", folder / "recipe.yaml", "--out", folder / "run", environment=environment)
    return folder / "run"


def test_they_are_measured_and_reported(run):
    decision = json.loads((run / "decision.json").read_text())
    assert {each["name"] for each in decision["strategies"]} == {"majority", *NAMES}
    report = (run / "report.html").read_text()
    assert all(name in report for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_served_as_measured(run, environment, name):
    with serving(
        run, "--strategy", name, "--port", "0", "--no-playground", "--no-measure", "--gate", "all",
        environment=environment,
    ) as server:  # fmt: skip
        url = server.announced()
        assert "Parity: 20 of 20 recorded labels" in server.output
        client = openai.OpenAI(base_url=url, api_key="none")
        asked = [{"role": "user", "content": "the elephant number 77"}]
        said = client.chat.completions.create(model="letters", messages=asked).choices[0].message.content
        [row] = httpx.post(f"{url}/predict", json={"inputs": ["the elephant number 77"]}).json()["data"]
        assert said == row["label"]
        assert set(row["probabilities"]) == {"a", "b"}
    folder = run / f"bundle-{name}" if (run / f"bundle-{name}").exists() else run / "bundle"
    card = (folder / "README.md").read_text()
    assert "library_name: another-package" in card
    has_model = (folder / "model" / "model.safetensors").is_file()
    assert has_model == (name == "reweighted")


def test_without_the_package_its_bundle_names_what_is_missing(run, tmp_path, environment):
    bundle = tmp_path / "bundle"
    llmtl("export", run, bundle, "--strategy", "longest-word", environment=environment)
    done = subprocess.run(
        [sys.executable, "-m", "llmtl.cli", "serve", str(bundle), "--port", "0", "--no-playground"],
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode != 0
    assert "strategy 'longest-word' is not installed; install the package that has it" in done.stdout + done.stderr
