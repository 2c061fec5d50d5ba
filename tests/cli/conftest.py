from pathlib import Path

import pytest

from tests.support.cli_checks import ROWS, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data.csv", ROWS)
    return tmp_path
