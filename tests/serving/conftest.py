"""Real finished runs of the embedded models with every strategy measured, and their bundles, made once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
from front_desk import write_messages

import llmtl

STRATEGIES = ("majority", "tfidf", "zero-shot", "few-shot", "knn-few-shot", "qlora")
BundleOf = Callable[..., Path]
"""Call it with a run, a strategy (None for the winner) and `merge`; it returns the bundle's folder, which is shared."""


def make_run(folder: Path, model: str, *, name: str = "front-desk", strategies: str = "") -> llmtl.Run:
    """Return a finished run of `model` on the generated messages; `strategies` is further YAML of that section."""
    write_messages(folder / "messages.csv")
    run = "" if "run:" in strategies else f"  run: [{', '.join(STRATEGIES)}]\n"
    (folder / "recipe.yaml").write_text(
        f"name: {name}\ndata: {{path: messages.csv}}\nmodel: {{name: '{model}'}}\n"
        "task: {instruction: 'Say what the message is about.', target: 0.9}\n"
        "strategies:\n  qlora: {max_epochs: 3}\n  few_shot: {shots: [4], seeds: 1}\n  knn_few_shot: {shots: [4]}\n"
        f"{run}{strategies}"
    )
    return llmtl.run(folder / "recipe.yaml", out=folder / "run")


@pytest.fixture(scope="session")
def llama_run(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    """Return a run of pocket-llama in which every strategy was measured."""
    return make_run(tmp_path_factory.mktemp("llama"), "pocket-llama")


@pytest.fixture(scope="session")
def mistral_run(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    """Return a run of pocket-mistral in which every strategy was measured."""
    return make_run(tmp_path_factory.mktemp("mistral"), "pocket-mistral")


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """Return a function to the bundle of a run's strategy, exported once a session; copy it before changing it."""
    from llmtl.pipeline.export import export

    made: dict[tuple[Path, str, bool], Path] = {}

    def bundle(run: llmtl.Run, strategy: str | None = None, *, merge: bool = False) -> Path:
        key = (run.folder, strategy or run.decision.winner, merge)
        if key not in made:
            folder = tmp_path_factory.mktemp("bundle") / "bundle"
            made[key] = export(run, folder, strategy=strategy, merge=merge)
        return made[key]

    return bundle
