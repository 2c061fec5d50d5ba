"""Every command of the page on public data sets is one that `llmtl run` takes."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from llmtl.cli.run import RUN
from llmtl.settings import recipe_for_data

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "public-data.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the page is not there")


def commands() -> list[str]:
    """The arguments of each `llmtl run` on the page."""
    return re.findall(r"^    llmtl run (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE) if PAGE.is_file() else []


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.split()[0])
def test_a_command_makes_a_recipe(command: str, tmp_path: Path):
    parser = argparse.ArgumentParser()
    RUN.add_options(parser)
    given = parser.parse_intermixed_args(shlex.split(command.replace("PATH", str(tmp_path))))
    if given.source.startswith(str(tmp_path)):
        Path(given.source).parent.mkdir(exist_ok=True)
        Path(given.source).touch()
    recipe = recipe_for_data(
        given.source, text=given.text, label=given.label, model=given.model, overrides=given.overrides
    )
    assert recipe.data.test_path
