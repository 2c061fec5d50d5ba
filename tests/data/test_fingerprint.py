import hashlib
import random

from llmtl.data import fingerprint
from llmtl.task import Example

EXAMPLES = [Example(str(n), f"text {n}", "ab"[n % 2]) for n in range(9)]


def test_order_and_ids_do_not_matter():
    shuffled = random.Random(0).sample(EXAMPLES, k=9)
    renamed = [Example(f"x{n}", each.text, each.reference) for n, each in enumerate(shuffled)]
    assert fingerprint(renamed) == fingerprint(EXAMPLES)


def test_content_and_copies_matter():
    prints = {
        fingerprint(EXAMPLES),
        fingerprint(EXAMPLES[1:]),
        fingerprint([*EXAMPLES, EXAMPLES[0]]),
        fingerprint([Example("0", "text 0", "b"), *EXAMPLES[1:]]),
        fingerprint([Example("0", "text 0 ", "a"), *EXAMPLES[1:]]),
    }
    assert len(prints) == 5


def test_the_hash_never_changes_between_versions():
    content = '["caf\\u00e9", "b"]\n["x", "a"]'
    assert (
        fingerprint([Example("1", "x", "a"), Example("2", "café", "b")]) == hashlib.sha256(content.encode()).hexdigest()
    )
