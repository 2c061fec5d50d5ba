"""Real finished runs of the embedded models with every strategy measured, and their bundles, made once a session."""

import csv
import random
from collections.abc import Callable
from pathlib import Path

import pytest

import llmtl

STRATEGIES = ("majority", "tfidf", "zero-shot", "few-shot", "knn-few-shot", "qlora")
LABELS = {
    "card": "cards/card_problems",  # the beginning of another label
    "card payment": "cards/payments",
    "delivery": "retail/delivery",
    "money back": "retail/refunds",  # two tokens
    "opening hours": "retail/shop",  # four tokens
}
"""Label to the concept of the lexicon that its messages speak of."""

MESSAGES_PER_LABEL = 30
BundleOf = Callable[..., Path]
"""Call it with a run, a strategy (None for the winner) and `merge`; it returns the bundle's folder, which is shared."""


def write_messages(path: Path) -> Path:
    """Return `path`, written with labelled messages from the generator of the embedded models."""
    from llmtl.pocket.lexicon import load_lexicon
    from llmtl.pocket.messages import MessageStyle, WordSupply, message

    concepts = {f"{concept.domain}/{concept.key.rpartition('/')[2]}": concept for concept in load_lexicon().topics}
    supply = WordSupply(random.Random(5))
    style = MessageStyle(bare=0.0, plain=0.6, repeat=0.2, noise=0.0)
    rows = [
        (message(concepts[concept], supply, style), label)
        for label, concept in LABELS.items()
        for _ in range(MESSAGES_PER_LABEL)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def make_run(folder: Path, model: str, *, name: str = "front-desk", strategies: str = "") -> llmtl.Run:
    """Return a finished run of `model` on the generated messages; `strategies` is further YAML of that section."""
    write_messages(folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        f"name: {name}\ndata: {{path: messages.csv}}\nmodel: {{name: '{model}'}}\n"
        "task: {instruction: 'Say what the message is about.', target: 0.9}\n"
        "strategies:\n  qlora: {max_epochs: 3}\n  few_shot: {shots: [4], seeds: 1}\n  knn_few_shot: {shots: [4]}\n"
        f"{strategies}"
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
