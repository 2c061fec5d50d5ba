"""Fingerprints of data: equal content, equal hash. Not covered: ids, which depend on the order of rows."""

import hashlib
import json
from collections.abc import Iterable

from llmtl.task import Example


def fingerprint(examples: Iterable[Example]) -> str:
    """Return the SHA-256 (64 hex digits) of all texts with their references, independent of order and ids."""
    lines = sorted(json.dumps([example.text, example.reference], ensure_ascii=True) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
