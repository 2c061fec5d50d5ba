import random
from collections.abc import Callable

import pytest

from llmtl.task import Example


@pytest.fixture
def make_examples() -> Callable[..., list[Example]]:
    """Return a function that makes examples of one label whose texts share no word with any other's."""
    source = random.Random(0)

    def make(label: str, count: int) -> list[Example]:
        texts = [" ".join("".join(source.choices("abcdefghij", k=9)) for _ in range(6)) for _ in range(count)]
        return [Example(f"{label}-{number}", text, label) for number, text in enumerate(texts)]

    return make
