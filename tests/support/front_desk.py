"""Labelled messages of a front desk, from the generator of the embedded models, and runs on them."""

import csv
import random
from pathlib import Path
from unittest.mock import patch

import llmtl

STRATEGIES = ("majority", "tfidf", "zero-shot", "few-shot", "knn-few-shot", "qlora")
QUICKLY = (
    "learning_curve: {enabled: false}\nlabel_noise: {refit_minutes: 0}\n"
    "decision: {training_seeds: 1, resamples: 1000}\n"
)
"""What a recipe says that is not there to test learning curves, doubtful labels or seeds: they take half of a run."""
LABELS = {
    "card": "cards/card_problems",  # the beginning of another label
    "card payment": "cards/payments",
    "delivery": "retail/delivery",
    "money back": "retail/refunds",  # two tokens
    "opening hours": "retail/shop",  # four tokens
}
"""Label to the concept of the lexicon that its messages speak of."""

MESSAGES_PER_LABEL = 30


def run_quickly(recipe: Path, out: Path) -> llmtl.Run:
    """Run a recipe, its latency measured with 3 requests instead of 20: they take up to half of a run that writes."""
    with patch("llmtl.pipeline.evaluate.LATENCY_REQUESTS", 3):
        return llmtl.run(recipe, out=out)


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


def make_run(
    folder: Path, model: str, *, name: str = "front-desk", strategies: str = "", engine: str = "auto"
) -> llmtl.Run:
    """Return a finished run of `model` on the generated messages; `strategies` is further YAML of that section."""
    write_messages(folder / "messages.csv")
    run = "" if "run:" in strategies else f"  run: [{', '.join(STRATEGIES)}]\n"
    (folder / "recipe.yaml").write_text(
        f"name: {name}\ndata: {{path: messages.csv}}\nmodel: {{name: '{model}', engine: {engine}}}\nencoder: null\n"
        "task: {instruction: 'Say what the message is about.', target: 0.9}\n"
        "strategies:\n  qlora: {max_epochs: 3}\n  few_shot: {shots: [4], seeds: 1}\n  knn_few_shot: {shots: [4]}\n"
        f"{run}{strategies}{QUICKLY}"
    )
    return run_quickly(folder / "recipe.yaml", folder / "run")
