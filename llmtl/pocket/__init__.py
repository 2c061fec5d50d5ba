"""Find the embedded models: small LLaMA and Mistral checkpoints for trying llmtl without a model hub.

They are instruments, not assistants. Not covered here: pre-training, see `llmtl.pocket.pretrain`.
"""

from pathlib import Path

NAMES = ("pocket-llama", "pocket-mistral")
ANSWERS = ("label", "spans")
"""The shapes of answers (`llmtl.kinds.kind.AnswerShape`) that they were taught."""
_CHECKPOINTS = Path(__file__).parent / "checkpoints"


def resolve(name: str) -> Path | None:
    """Find the checkpoint folder of an embedded model; None for any other name."""
    if name not in NAMES:
        return None
    return _CHECKPOINTS / name


__all__ = ["ANSWERS", "NAMES", "resolve"]
