"""What works, and what is said in one line, after a plain `pip install llmtl`: without torch and every extra."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli_checks import COLUMNS

PLAIN = Path(__file__).with_name("plain_llmtl.py")


def plain(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PLAIN), *arguments], capture_output=True, text=True, check=False)


def test_a_decision_on_prediction_files(here: Path):
    for name, right in (("one", 2), ("two", 9)):
        rows = [
            {"id": i, "reference": "ab"[i % 2], "prediction": "ab"[i % 2] if i % 10 < right else "c"}
            for i in range(200)
        ]
        (here / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    decided = plain("decide", "--predictions", "one.jsonl", "two.jsonl", "--baseline", "one", "--resamples", "1000")
    assert (decided.returncode, decided.stderr) == (0, "")
    assert "Use two: right " in decided.stdout


@pytest.mark.parametrize("arguments", [("schema", "recipe"), ("schema", "decision"), ("--help",), ("run", "--help")])
def test_schemas_and_help(here: Path, arguments: tuple[str, ...]):
    shown = plain(*arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout


def test_the_doctor_names_the_extra(here: Path):
    shown = plain("doctor")
    assert shown.returncode == 0
    assert "pip install 'llmtl[local,tuning]'" in shown.stdout


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((), "Fine-tuning needs peft; install it with: pip install 'llmtl[tuning]'"),
        (
            ("strategies.run=[majority,zero-shot]",),
            "A language model needs torch; install it with: pip install 'llmtl[",
        ),
        (("strategies.run=[zero-shot]", "model.engine=vllm"), "The engine 'vllm' needs vllm; install it with: pip"),
    ],
)
def test_a_language_model_is_refused_before_any_work(here: Path, overrides: tuple[str, ...], said: str):
    ran = plain("run", "data.csv", *COLUMNS, *overrides)
    assert ran.returncode == 2
    assert ran.stderr.startswith(f"llmtl: {said}")
    assert ran.stderr.count("\n") == 1
    assert not (here / "runs").exists()


def test_baselines_are_measured_predicted_with_and_exported(here: Path):
    ran = plain("run", "data.csv", *COLUMNS, "strategies.run=[majority,tfidf]", "--out", "run")
    assert (ran.returncode, ran.stderr) == (0, "")
    predicted = plain("predict", "run", "--text", "please refund my order")
    assert json.loads(predicted.stdout)["label"] == "refund"
    assert plain("export", "run", "bundle").returncode == 0
    served = plain("serve", "bundle", "--no-playground", "--dry-run")
    assert served.returncode == 0
    assert "classifier_app" in served.stdout
    played = plain("serve", "bundle", "--port", "0")
    assert played.returncode == 2
    assert played.stderr == "llmtl: The playground needs gradio; install it with: pip install 'llmtl[playground]'\n"
