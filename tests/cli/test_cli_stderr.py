"""Only llmtl's own lines reach stderr: of every command, whatever the libraries below it have to say."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import llmtl
from tests.support.cli_checks import write

PROGRESS = r"|[^:]+: [\d,]+ (to do|in <?[\d.]+ s)"
"""What a stage of `llmtl.progress` says where there is no terminal."""
NOISE = """
import logging, warnings
from llmtl.quiet import silence_libraries
silence_libraries()
warnings.warn("/site-packages/sklearn: could represent a regression problem")
logging.getLogger("bitsandbytes.backends.cpu.ops").warning("Failed to load CPU gemm_4bit_forward")
logging.getLogger("some.other.library").warning("an optional package is missing")
logging.warning("said on the root logger")
from transformers.utils import logging as voice
voice.get_logger("transformers.models").warning("a deprecated argument")
from datasets.utils import logging as other
other.get_logger("datasets.builder").warning("found cached data")
import huggingface_hub
logging.getLogger("huggingface_hub.file_download").warning("you are sending unauthenticated requests")
"""


def python(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd)


def quiet(*arguments: str | Path, cwd: Path) -> str:
    """Return what a command printed; checks that it went well and wrote nothing but its progress to stderr."""
    done = python("-m", "llmtl", *map(str, arguments), cwd=cwd)
    foreign = [line for line in done.stderr.splitlines() if not re.fullmatch(PROGRESS, line)]
    assert (done.returncode, foreign) == (0, []), done.stdout
    assert "site-packages" not in done.stdout
    return done.stdout


def test_what_libraries_warn_of_and_log_stays_unheard_in_a_command():
    said = python("-c", NOISE)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_who_asks_python_for_warnings_gets_them():
    assert "could represent a regression" in python("-W", "default", "-c", NOISE).stderr


def test_a_run_with_half_as_many_labels_as_rows_and_a_decision_elsewhere(tmp_path: Path):
    rows = [(f"message about thing {i % 30:02} number {i * 7 % 60}", f"class {i % 30:02}") for i in range(60)]
    write(tmp_path / "many.csv", rows)
    told = quiet(
        *("run", "many.csv", "--text", "text", "--label", "label", "--model", "pocket-llama", "--out", "run"),
        *("strategies.run=[majority,tfidf]", "learning_curve.enabled=false", "data.near_duplicate_threshold=1.0"),
        cwd=tmp_path,
    )
    assert "Verdict for" in told
    for name, right in (("one", 2), ("two", 9)):
        answers = [
            {"id": i, "reference": "ab"[i % 2], "prediction": "ab"[(i + (i % 10 >= right)) % 2]} for i in range(60)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, answers)))
    decided = quiet("decide", "--predictions", "one.jsonl", "two.jsonl", "--baseline", "one", cwd=tmp_path)
    assert "two" in decided


@pytest.mark.parametrize("arguments", [("doctor",), ("schema", "recipe"), ("schema", "decision")])
def test_what_needs_no_run(tmp_path: Path, arguments: tuple[str, ...]):
    assert quiet(*arguments, cwd=tmp_path)


def test_commands_on_a_run_of_a_tuned_model(tmp_path: Path, llama_run: llmtl.Run):
    predicted = quiet("predict", llama_run.folder, "--text", "my card", "--strategy", "qlora", cwd=tmp_path)
    assert json.loads(predicted)["label"]
    assert quiet("export", llama_run.folder, tmp_path / "bundle", "--strategy", "qlora", cwd=tmp_path)
    assert quiet("serve", tmp_path / "bundle", "--no-playground", "--dry-run", cwd=tmp_path)
