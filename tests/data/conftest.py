import json
from collections.abc import Callable
from pathlib import Path

import pytest

Writer = Callable[[str, str | bytes], str]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Return a function that writes a file and returns its path as a recipe would give it."""

    def write_file(name: str, content: str | bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write_file


@pytest.fixture
def json_lines(write: Writer) -> Callable[[list[object]], str]:
    """Return a function that writes values as JSON Lines."""
    return lambda values: write("data.jsonl", "".join(json.dumps(value) + "\n" for value in values))
