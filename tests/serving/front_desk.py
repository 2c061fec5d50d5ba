"""Labelled messages of a front desk, from the generator of the embedded models."""

import csv
import random
from pathlib import Path

LABELS = {
    "card": "cards/card_problems",  # the beginning of another label
    "card payment": "cards/payments",
    "delivery": "retail/delivery",
    "money back": "retail/refunds",  # two tokens
    "opening hours": "retail/shop",  # four tokens
}
"""Label to the concept of the lexicon that its messages speak of."""

MESSAGES_PER_LABEL = 30


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
