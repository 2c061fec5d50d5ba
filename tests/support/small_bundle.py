"""A bundle's manifest for the tiny checkpoints, with labels of which some begin others; there are no files to it."""

from llmtl.serving.bundle.manifest import BaseModel, Bundle, ServedStrategy, Weights
from llmtl.task import Example, Task

LABELS = ("card", "card lost", "card arrival", "refund", "card lost abroad")


def small_bundle(**changes):
    """Return a bundle with a few-shot winner and a retrieving strategy; `changes` go to the manifest."""
    shown = (Example("1", "I lost it", "card lost"),)
    fields = {
        "task": Task("tickets", LABELS),
        "winner": ServedStrategy("few-shot", "tickets", "tickets", Weights.BASE, shown),
        "others": (ServedStrategy("knn-few-shot", "tickets/knn", "tiny", Weights.BASE, retrieved=2),),
        "base": BaseModel("tiny", "model", hub=False, revision=None, licence="", context_length=512, dtype="float32"),
        "answers": LABELS,
        "answer_tokens": (),
        "lora_rank": 0,
        "created": "",
        "llmtl_version": "",
        "verdict": "adopt",
    }
    return Bundle(**{**fields, **changes})
