"""Fingerprints of data: equal content, equal hash. Not covered: ids, which depend on the order of rows."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from llmtl.task import Example


def fingerprint(examples: Iterable[Example]) -> str:
    """Return the SHA-256 (64 hex digits) of texts, references and groups, independent of order and ids."""
    lines = sorted(json.dumps(_content(example), ensure_ascii=True) for example in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content(example: Example) -> list[Any]:
    content: list[Any] = [example.text, example.reference]
    if example.alternatives or example.group is not None:
        content += [list(example.alternatives), example.group]
    return content
