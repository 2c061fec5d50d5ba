"""`llmtl serve` of a head on the base model's hidden states: a server process of its own that loads both."""

import httpx
import pytest

import llmtl
from llmtl.serving.bundle.read import open_bundle
from tests.support.serve_process import serving

WORDS = {"card": "my card was {} and I want it back", "login": "the password is {} and I cannot enter"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run that measured the probe beside the majority."""
    folder = tmp_path_factory.mktemp("probe")
    places = ("lost", "stolen", "wrong", "blocked", "gone")
    rows = [
        f"{frame.format(place)} {n},{label}" for label, frame in WORDS.items() for place in places for n in range(8)
    ]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]))
    (folder / "recipe.yaml").write_text(
        "name: desk\ndata: {path: data.csv, near_duplicate_threshold: 1.0, max_dev: 12, max_test: 20}\n"
        "model: {name: pocket-llama, engine: transformers}\nstrategies: {run: [majority, linear-probe]}\n"
        "decision: {resamples: 1000}\nlearning_curve: {enabled: false}\n"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


def test_it_is_served_as_measured_with_the_model_in_the_bundle(run):
    options = ("--strategy", "linear-probe", "--port", "0", "--no-playground", "--no-measure", "--gate", "all")
    with serving(run.folder, *options) as server:
        url = server.announced()
        assert "Parity: 20 of 20 recorded labels, probabilities within" in server.output
        asked = {"model": "desk", "messages": [{"role": "user", "content": "my card was lost"}]}
        said = httpx.post(f"{url}/chat/completions", json=asked).json()["choices"][0]["message"]["content"]
        [row] = httpx.post(f"{url}/predict", json={"inputs": ["my card was lost"]}).json()["data"]
        assert said == row["label"]
        assert sum(row["probabilities"].values()) == pytest.approx(1)
        assert server.stop() == 0
    [bundle] = [path.parent for path in run.folder.glob("bundle*/bundle.json")]
    kept = open_bundle(bundle)
    assert (kept.winner.weights, kept.base.source, kept.on_vllm) == ("classifier", "model", False)
    assert not (bundle / "vllm.yaml").exists()
