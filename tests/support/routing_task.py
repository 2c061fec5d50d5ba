"""A small routing task: labels, and short messages over them."""

from llmtl.task import Example

LABELS = ("billing", "card lost", "refund")
WORDS = {"billing": "charged", "card lost": "lost card", "refund": "money back"}


def labelled(count, *, labels=LABELS, mark="train"):
    """Return `count` short messages over the labels, unbalanced: the first label has about half of them."""
    chosen = [labels[0] if position % 2 else labels[(position // 2) % len(labels)] for position in range(count)]
    return tuple(
        Example(f"{mark}-{position}", f"{WORDS.get(label, label)} {mark} {position}", label)
        for position, label in enumerate(chosen)
    )
