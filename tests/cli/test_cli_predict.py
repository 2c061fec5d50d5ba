"""`llmtl predict`: folders that are not runs."""

from pathlib import Path

import pytest

from llmtl.cli import main
from llmtl.seals import SEAL
from tests.support.cli_checks import COLUMNS, RULES


def test_a_folder_that_is_no_run(here: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", "nowhere", "--text", "x"]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["[]", "{}"])
def test_a_damaged_index_is_one_line(here: Path, capsys: pytest.CaptureFixture[str], damage: str):
    assert main(["run", "data.csv", *COLUMNS, *RULES, "--out", "run"]) == 0
    (here / "run" / "index.json").write_text(damage)
    assert main(["predict", "run", "--text", "a"]) == 2
    assert "`llmtl run run` makes it again" in capsys.readouterr().err
    (here / "run" / SEAL).unlink()
    assert main(["predict", "run", "--text", "a"]) == 2
    assert "another version of llmtl" in capsys.readouterr().err
