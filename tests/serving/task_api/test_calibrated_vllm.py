"""A calibrated winner in a real vLLM process: chats and predictions are the measured, calibrated ones."""

import pytest

import llmtl
from llmtl.pipeline.export import export
from llmtl.serving.bundle.read import open_bundle
from llmtl.store import read_json
from tests.support.front_desk import write_messages
from tests.support.live_bundle import client_of, live_server
from tests.support.live_checks import assert_chats_as_measured, assert_predicts_as_measured, chat

pytestmark = pytest.mark.slow
STRATEGIES = "run: [majority, zero-shot]\n  zero_shot: {calibration: auto, dev_examples: 40}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run in which zero-shot is calibrated."""
    folder = tmp_path_factory.mktemp("calibrated")
    write_messages(folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        "name: front-desk\ndata: {path: messages.csv}\nmodel: {name: pocket-llama}\n"
        f"task: {{instruction: 'Say what the message is about.'}}\nstrategies:\n  {STRATEGIES}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


def test_a_calibrated_strategy_is_served_as_measured(run, tmp_path):
    kept = read_json(run.folder / run.index.fits["zero-shot"] / "prompt.json")
    assert kept["calibration"]["method"] in ("batch", "affine")
    folder = export(run, tmp_path / "bundle", strategy="zero-shot")
    assert open_bundle(folder).winner.calibration is not None
    assert "stock vLLM with the uncalibrated label" in (folder / "README.md").read_text()
    with live_server(folder, tmp_path / "log.txt") as url, client_of(url) as client:
        assert_predicts_as_measured(client, run, "zero-shot", "front-desk")
        assert_chats_as_measured(client, run, "zero-shot", "front-desk")
        assert kept["instruction"] in chat(client, "front-desk", "my card", return_prompt_text=True)["prompt_text"]
